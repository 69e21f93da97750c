//! Matrix products, through the crate `gemm`.
#![allow(unsafe_code)]

use super::frozen::few_linear;
use super::par::Disjoint;
use crate::matrix::FEW_ROWS;
use gemm::Parallelism;

/// A strided matrix to read.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix `[rows, cols]`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `stride` numbers apart.
    ///
    /// # Panics
    /// When the data is too short.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            rows == 0 || cols == 0 || data.len() >= (rows - 1) * stride + cols,
            "matrix is larger than its data"
        );
        View { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// The transpose, without moving data.
    pub fn t(self) -> Self {
        View {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// A row-major strided matrix to write.
#[derive(Debug)]
pub struct ViewMut<'a> {
    ptr: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    life: std::marker::PhantomData<&'a mut [f32]>,
}

impl<'a> ViewMut<'a> {
    /// A row-major matrix `[rows, cols]`.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert!(data.len() >= rows * cols, "matrix is larger than its data");
        ViewMut { ptr: data.as_mut_ptr(), rows, cols, stride: cols, life: std::marker::PhantomData }
    }

    /// Some columns of a row-major matrix `[rows, width]`.
    ///
    /// # Panics
    /// When the data is too short or the columns lie outside.
    pub fn columns(data: &'a mut [f32], rows: usize, width: usize, columns: std::ops::Range<usize>) -> Self {
        assert!(data.len() >= rows * width && columns.end <= width, "matrix is larger than its data");
        let ptr = data[columns.start..].as_mut_ptr();
        ViewMut { ptr, rows, cols: columns.len(), stride: width, life: std::marker::PhantomData }
    }

    /// A matrix inside a shared slice, whose rows start `stride` numbers apart.
    ///
    /// # Safety
    /// Nothing else may read or write its elements (`start + row * stride + col`) while it is alive.
    pub(crate) unsafe fn shared(
        data: &Disjoint<'a>,
        start: usize,
        rows: usize,
        cols: usize,
        stride: usize,
    ) -> Self {
        assert!(rows > 0 && cols > 0);
        data.at(start + (rows - 1) * stride + cols - 1);
        ViewMut { ptr: data.at(start), rows, cols, stride, life: std::marker::PhantomData }
    }
}

/// `dst = scale * a b`, added to `dst` when `accumulate`; on all threads when `parallel`.
///
/// # Panics
/// When the shapes do not fit.
pub fn matmul(dst: ViewMut<'_>, a: View<'_>, b: View<'_>, scale: f32, accumulate: bool, parallel: bool) {
    assert!(
        a.rows == dst.rows && b.cols == dst.cols && a.cols == b.rows,
        "shapes of a matrix product do not fit"
    );
    let (m, n, k) = (dst.rows, dst.cols, a.cols);
    if m == 0 || n == 0 {
        return;
    }
    if cfg!(miri) {
        return plainly(&dst, a, b, scale, accumulate);
    }
    let threads = rayon::current_num_threads();
    // Below some 100k multiplications a second thread costs more than it saves.
    let parallelism = if parallel && threads > 1 && m * n * k > 100_000 {
        Parallelism::Rayon(threads)
    } else {
        Parallelism::None
    };
    // SAFETY: `View` and `ViewMut` checked on construction that every element lies in its slice, the shapes fit by the
    // assertion above, and `dst` is borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.ptr,
            1,
            dst.stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The same for Miri, which interprets this crate's own accesses and no assembly of a library's.
fn plainly(dst: &ViewMut<'_>, a: View<'_>, b: View<'_>, scale: f32, accumulate: bool) {
    for (i, j) in (0..dst.rows).flat_map(|i| (0..dst.cols).map(move |j| (i, j))) {
        let term = |l: usize| {
            a.data[i * a.row_stride + l * a.col_stride] * b.data[l * b.row_stride + j * b.col_stride]
        };
        let product = scale * (0..a.cols).map(term).sum::<f32>();
        // SAFETY: `ViewMut` checked on construction that every element lies in its slice, which is borrowed mutably.
        unsafe {
            let at = dst.ptr.add(i * dst.stride + j);
            *at = if accumulate { *at + product } else { product };
        }
    }
}

/// `y[rows, out] = scale * x[rows, in] w[out, in]ᵀ`, added to `y` when `accumulate`.
pub fn linear(y: &mut [f32], x: &[f32], w: &[f32], rows: usize, scale: f32, accumulate: bool) {
    let (outs, ins) = (y.len() / rows.max(1), x.len() / rows.max(1));
    assert!(
        y.len() == rows * outs && x.len() == rows * ins && w.len() == outs * ins,
        "shapes of a projection do not fit"
    );
    if (1..=FEW_ROWS).contains(&rows) && outs * ins >= 4096 {
        return few_linear(y, x, w, rows, scale, accumulate);
    }
    matmul(
        ViewMut::new(y, rows, outs),
        View::new(x, rows, ins),
        View::new(w, outs, ins).t(),
        scale,
        accumulate,
        true,
    );
}

/// `dx[rows, in] = scale * dy[rows, out] w[out, in]`, added to `dx` when `accumulate`.
pub fn linear_backward_input(
    dx: &mut [f32],
    dy: &[f32],
    w: &[f32],
    rows: usize,
    scale: f32,
    accumulate: bool,
) {
    let (ins, outs) = (dx.len() / rows.max(1), dy.len() / rows.max(1));
    matmul(
        ViewMut::new(dx, rows, ins),
        View::new(dy, rows, outs),
        View::new(w, outs, ins),
        scale,
        accumulate,
        true,
    );
}

/// `dw[out, in] += scale * dy[rows, out]ᵀ x[rows, in]`.
pub fn linear_backward_weight(dw: &mut [f32], dy: &[f32], x: &[f32], rows: usize, scale: f32) {
    let (ins, outs) = (x.len() / rows.max(1), dy.len() / rows.max(1));
    matmul(
        ViewMut::new(dw, outs, ins),
        View::new(dy, rows, outs).t(),
        View::new(x, rows, ins),
        scale,
        true,
        true,
    );
}

//! A tensor of the decoder: its parts in files, its numbers in f32 or in low precision, its gradient.

use crate::batch::ParamMut;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;
use tillage_kernels::cpu;
use tillage_kernels::matrix::{Arithmetic, Matrix};
use tillage_protocol::run::Dtype;

/// A matrix of some precision, and `None` for f32, which is held as it is.
pub(crate) fn frozen(value: &[f32], inputs: usize, dtype: Dtype) -> Option<Matrix> {
    match dtype {
        Dtype::F32 => None,
        Dtype::Bf16 => Some(Matrix::bf16(value, inputs)),
        Dtype::Int8 => Some(Matrix::int8(value, inputs)),
        Dtype::Nf4 => Some(Matrix::nf4(value, inputs)),
    }
}

/// A stored tensor inside a [`Tensor`].
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub name: String,
    /// As in memory: matrices are `[out, in]`.
    pub shape: Vec<usize>,
    /// The file has the matrix as `[in, out]`.
    pub transposed: bool,
}

impl Stored {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// A value of this tensor as the file has it.
    pub fn as_stored(&self, value: &[f32]) -> Vec<f32> {
        as_stored(value, &self.shape, self.transposed)
    }

    /// The shape that the file has.
    pub fn stored_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.transposed {
            shape.reverse();
        }
        shape
    }
}

/// A tensor of a shape in memory as the file has it.
pub(crate) fn as_stored(value: &[f32], shape: &[usize], transposed: bool) -> Vec<f32> {
    if transposed {
        transpose(value, shape[1])
    } else {
        value.to_vec()
    }
}

/// The transpose of a row-major matrix with `cols` columns.
pub(crate) fn transpose(value: &[f32], cols: usize) -> Vec<f32> {
    let rows = value.len() / cols;
    let mut turned = vec![0.0; value.len()];
    for (r, row) in value.chunks_exact(cols).enumerate() {
        for (c, x) in row.iter().enumerate() {
            turned[c * rows + r] = *x;
        }
    }
    turned
}

/// One or several stored tensors behind one another; the gradient is empty while they are frozen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tensor {
    pub parts: Vec<Stored>,
    /// Empty where the numbers are in `frozen`.
    pub value: Vec<f32>,
    /// The numbers of a matrix in low precision.
    pub frozen: Option<Matrix>,
    pub grad: Vec<f32>,
    /// Products take the numbers rounded to bf16, while they are held, trained and stored in f32.
    mixed: bool,
    /// The rounded numbers, until the numbers change.
    rounded: OnceLock<Matrix>,
}

/// Makes a tensor's numbers.
pub(crate) type Numbers<'a> = Box<dyn Fn() -> Cow<'a, [f32]> + 'a>;

impl Tensor {
    /// Stored tensors behind one another, with their numbers in f32 or in low precision.
    pub fn new(parts: Vec<Stored>, value: Vec<f32>, frozen: Option<Matrix>) -> Tensor {
        Tensor { parts, value, frozen, ..Tensor::default() }
    }

    /// A tensor that is stored by itself.
    pub fn single(name: String, shape: Vec<usize>, value: Vec<f32>) -> Tensor {
        let parts = vec![Stored { name, shape, transposed: false }];
        Tensor::new(parts, value, None)
    }

    /// Rounds the numbers of a matrix in f32 for products, or no longer: mixed precision (Micikevicius et al. 2018), without
    /// scaling of the loss, which bf16 does not need (Kalamkar et al. 2019).
    pub fn set_mixed(&mut self, on: bool) {
        self.mixed = on && self.frozen.is_none();
        self.rounded.take();
    }

    /// The matrix that products take where it is not the numbers in f32.
    pub fn matrix(&self) -> Option<&Matrix> {
        let inputs = || self.value.len() / self.rows();
        let rounded = || self.mixed.then(|| self.rounded.get_or_init(|| Matrix::bf16(&self.value, inputs())));
        self.frozen.as_ref().or_else(rounded)
    }

    /// Whether products with the matrix are in bf16.
    pub fn rounds(&self) -> bool {
        self.mixed || self.frozen.as_ref().is_some_and(|w| w.arithmetic() == Arithmetic::Bf16)
    }

    /// Numbers of all parts.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Stored::len).sum()
    }

    /// Bytes of the numbers, rounded ones included.
    pub fn bytes(&self) -> usize {
        let each = if self.mixed { 6 } else { 4 };
        self.frozen.as_ref().map_or(each * self.value.len(), Matrix::bytes)
    }

    /// `y[rows, out] = scale * x[rows, in] wᵀ`, added to `y` when `accumulate`.
    pub fn linear(&self, y: &mut [f32], x: &[f32], rows: usize, scale: f32, accumulate: bool) {
        match self.matrix() {
            Some(w) => cpu::frozen_linear(y, x, w, rows, scale, accumulate),
            None => cpu::linear(y, x, &self.value, rows, scale, accumulate),
        }
    }

    /// `dx[rows, in] = scale * dy[rows, out] w`, added to `dx` when `accumulate`.
    pub fn backward_input(&self, dx: &mut [f32], dy: &[f32], rows: usize, scale: f32, accumulate: bool) {
        match self.matrix() {
            Some(w) => cpu::frozen_backward_input(dx, dy, w, rows, scale, accumulate),
            None => cpu::linear_backward_input(dx, dy, &self.value, rows, scale, accumulate),
        }
    }

    /// `dw[out, in] += scale * dy[rows, out]ᵀ x[rows, in]`, where the matrix is trained.
    pub fn backward_weight(&mut self, dy: &[f32], x: &[f32], rows: usize, scale: f32) {
        let backward = if self.mixed { cpu::rounded_backward_weight } else { cpu::linear_backward_weight };
        if let Some(dw) = self.grad_mut() {
            backward(dw, dy, x, rows, scale);
        }
    }

    /// Some rows of a matrix in f32.
    pub fn read(&self, rows: Range<usize>) -> Cow<'_, [f32]> {
        match &self.frozen {
            Some(w) => w.to_f32(rows).into(),
            None => {
                let width = self.value.len() / self.rows();
                self.value[rows.start * width..rows.end * width].into()
            }
        }
    }

    /// Holds a matrix in low precision, unless it is already. Its parts are quantised one by one, as they are when they
    /// are read from a file.
    pub fn freeze(&mut self, dtype: Dtype) {
        if self.frozen.is_some() {
            return;
        }
        self.set_mixed(false);
        let mut whole: Option<Matrix> = None;
        for (part, value) in self.stored() {
            match (&mut whole, frozen(value, part.shape[1], dtype)) {
                (Some(whole), Some(part)) => whole.append(part),
                (_, part) => whole = part,
            }
        }
        if whole.is_some() {
            self.frozen = whole;
            self.value = Vec::new();
        }
    }

    /// Holds a matrix in f32.
    pub fn thaw(&mut self) {
        self.rounded.take();
        if let Some(matrix) = self.frozen.take() {
            self.value = matrix.to_f32(0..matrix.rows());
        }
    }

    /// Rows of all parts of a matrix.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(|p| p.shape[0]).sum()
    }

    pub fn set_trainable(&mut self, on: bool) {
        if on {
            self.grad.resize(self.value.len(), 0.0);
        } else {
            self.grad = Vec::new();
        }
    }

    pub fn trained(&self) -> bool {
        !self.grad.is_empty()
    }

    /// The gradient where the tensor is trained.
    pub fn grad_mut(&mut self) -> Option<&mut [f32]> {
        self.trained().then_some(&mut self.grad)
    }

    /// The stored tensors with their numbers as files have them, which are made when they are asked for.
    pub fn files(&self) -> impl Iterator<Item = (&Stored, Numbers<'_>)> {
        let mut first = 0;
        self.parts.iter().map(move |part| {
            let rows = first..first + part.shape[0];
            first = rows.end;
            let numbers: Numbers<'_> = Box::new(move || {
                let value = self.read(rows.clone());
                if part.transposed {
                    part.as_stored(&value).into()
                } else {
                    value
                }
            });
            (part, numbers)
        })
    }

    /// The stored tensors with their numbers, where they are in f32.
    pub fn stored(&self) -> impl Iterator<Item = (&Stored, &[f32])> {
        let mut rest = &self.value[..];
        self.parts.iter().map(move |part| {
            let (own, after) = rest.split_at(part.len());
            rest = after;
            (part, own)
        })
    }

    /// The stored tensors with numbers and gradients, where they are trained.
    pub fn parameters_mut(&mut self) -> Vec<ParamMut<'_>> {
        if !self.trained() {
            return Vec::new();
        }
        self.rounded.take();
        let (mut value, mut grad) = (&mut self.value[..], &mut self.grad[..]);
        let mut all = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let (own_value, rest_value) = value.split_at_mut(part.len());
            let (own_grad, rest_grad) = grad.split_at_mut(part.len());
            (value, grad) = (rest_value, rest_grad);
            all.push(ParamMut {
                name: &part.name,
                shape: &part.shape,
                transposed: part.transposed,
                value: own_value,
                grad: own_grad,
            });
        }
        all
    }
}

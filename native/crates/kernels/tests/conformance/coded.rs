//! Products over coded bf16 are those over the numbers as they are, bit for bit.

use crate::support::{single, Numbers};
use tillage_kernels::cpu::{self, Isa};
use tillage_kernels::matrix::{to_bf16, Arithmetic, Bf16s, CodedBf16, Matrix, Store, FEW_ROWS};

/// Rows of several stored tensors, as they are and coded; some numbers are far larger or smaller than the others.
fn both(parts: &[usize], inputs: usize, n: &mut Numbers) -> [Matrix; 2] {
    let mut matrices: [Option<Matrix>; 2] = [None, None];
    for &rows in parts {
        let mut numbers: Vec<u16> = single(&n.many(rows * inputs)).into_iter().map(to_bf16).collect();
        for (i, x) in numbers.iter_mut().enumerate() {
            *x = match i % 409 {
                7 => to_bf16(3e4),
                19 => to_bf16(-2e-7),
                31 => 0x8000,
                43 => 0x0003,
                _ => *x,
            };
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let coded = CodedBf16::resident(&[(&bytes, inputs)], true).expect("memory").remove(0);
        assert!(matches!(coded, Store::Coded(_)), "{rows} x {inputs}");
        for (to, store) in matrices.iter_mut().zip([Store::Bf16(Bf16s::from(numbers)), coded]) {
            let own = Matrix::new(store, inputs);
            match to {
                Some(to) => to.append(own),
                None => *to = Some(own),
            }
        }
    }
    matrices.map(|m| m.expect("a part"))
}

#[test]
fn products_are_those_of_the_numbers() {
    // The last is shared by threads in the middle of a block.
    let parts: [&[usize]; 5] = [&[32], &[60], &[27, 50, 80], &[25], &[27, 700]];
    for isa in Isa::available() {
        for arithmetic in [Arithmetic::Bf16, Arithmetic::F32] {
            for (parts, inputs) in parts.into_iter().zip([64, 96, 32, 160, 1056]) {
                let mut n = Numbers::new((parts.len() * inputs) as u64);
                let mut matrices = both(parts, inputs, &mut n);
                matrices.iter_mut().for_each(|m| m.set_arithmetic(arithmetic));
                let outputs = matrices[0].rows();
                for rows in (1..=FEW_ROWS + 1).chain([16, 33, 70]) {
                    let x = single(&n.many(rows * inputs));
                    let [plain, coded] = [0, 1].map(|i| {
                        let mut y = vec![0.5; rows * outputs];
                        cpu::frozen_linear_on(isa, &mut y, &x, &matrices[i], rows, 0.7, true);
                        y
                    });
                    assert!(plain == coded, "{isa:?} {arithmetic:?}: {rows} x {inputs} x {outputs}");
                    let dy = single(&n.many(rows * outputs));
                    let [plain, coded] = [0, 1].map(|i| {
                        let mut dx = vec![f32::NAN; rows * inputs];
                        cpu::frozen_backward_input_on(isa, &mut dx, &dy, &matrices[i], rows, 1.0, false);
                        dx
                    });
                    assert!(plain == coded, "{isa:?} {arithmetic:?}: back, {rows} x {inputs} x {outputs}");
                }
            }
        }
    }
}

#[test]
fn rows_are_read_as_they_were() {
    let mut n = Numbers::new(5);
    let [plain, coded] = both(&[30, 57], 96, &mut n);
    assert_eq!(plain.to_f32(0..87), coded.to_f32(0..87));
    let tokens = [0, 86, 30, 29, 61, 62, 5];
    let [expected, read] = [&plain, &coded].map(|table| {
        let mut y = vec![0.0; tokens.len() * 96];
        cpu::frozen_embedding(&mut y, table, &tokens);
        y
    });
    assert_eq!(expected, read);
    assert!(coded.bytes() < plain.bytes() && !coded.is_mapped());
}

#[test]
fn coded_and_other_parts_stand_in_one_matrix() {
    let mut n = Numbers::new(6);
    let [plain, coded] = both(&[50], 64, &mut n);
    let [more, _] = both(&[52], 64, &mut n);
    let [mut expected, mut mixed] = [plain, coded];
    expected.append(more.clone());
    mixed.append(more);
    for isa in Isa::available() {
        for rows in [1, 5, 20] {
            let x = single(&n.many(rows * 64));
            let [expected, mixed] = [&expected, &mixed].map(|w| {
                let mut y = vec![0.0; rows * 102];
                cpu::frozen_linear_on(isa, &mut y, &x, w, rows, 1.0, false);
                y
            });
            assert!(expected == mixed, "{isa:?}, {rows} rows");
        }
    }
}

//! What an optimiser remembers of each tensor, and how that lies in a checkpoint.

use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use std::borrow::Cow;
use tillage_kernels::cpu::{Blocks, DynamicCode, BLOCK_8BIT};
use tillage_protocol::course::OptimizerKind;

/// Tensors with fewer numbers keep moments in f32 under 8-bit AdamW, as in bitsandbytes: they cost little, and norms suffer most.
pub const SMALLEST_8BIT: usize = 4096;

/// The states of one tensor.
#[derive(Debug, PartialEq)]
pub enum States {
    AdamW {
        first: Vec<f32>,
        second: Vec<f32>,
    },
    AdamW8bit {
        first: Blocks,
        second: Blocks,
    },
    /// Of a matrix `[rows, cols]`.
    Muon {
        momentum: Vec<f32>,
        shape: (usize, usize),
    },
}

/// Which states a tensor gets; `hidden` says that it is a matrix inside a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    AdamW,
    AdamW8bit,
    Muon(usize, usize),
}

fn form(kind: OptimizerKind, shape: &[usize], hidden: bool) -> Form {
    let numbers: usize = shape.iter().product();
    match (kind, shape) {
        (OptimizerKind::AdamW8bit, _) if numbers >= SMALLEST_8BIT => Form::AdamW8bit,
        (OptimizerKind::Muon, &[rows, cols]) if hidden => Form::Muon(rows, cols),
        _ => Form::AdamW,
    }
}

impl States {
    /// Zeros.
    pub fn new(kind: OptimizerKind, shape: &[usize], hidden: bool) -> Self {
        let n = shape.iter().product();
        match form(kind, shape, hidden) {
            Form::AdamW => States::AdamW { first: vec![0.0; n], second: vec![0.0; n] },
            Form::AdamW8bit => States::AdamW8bit {
                first: Blocks::zeros(n, DynamicCode::signed()),
                second: Blocks::zeros(n, DynamicCode::unsigned()),
            },
            Form::Muon(rows, cols) => States::Muon { momentum: vec![0.0; n], shape: (rows, cols) },
        }
    }

    /// Bytes that [`States::new`] would take.
    pub fn bytes(kind: OptimizerKind, shape: &[usize], hidden: bool) -> u64 {
        let n = shape.iter().map(|n| *n as u64).product::<u64>();
        match form(kind, shape, hidden) {
            Form::AdamW => 8 * n,
            Form::AdamW8bit => 2 * n + 8 * n.div_ceil(BLOCK_8BIT as u64),
            Form::Muon(..) => 4 * n,
        }
    }

    /// Entries of the checkpoint's file: kind and numbers. The tensor's name is put behind the kind.
    fn entries(&self) -> Vec<(&'static str, Numbers<'_>)> {
        match self {
            States::AdamW { first, second } => {
                vec![("first", Numbers::F32(first)), ("second", Numbers::F32(second))]
            }
            States::AdamW8bit { first, second } => vec![
                ("first8", Numbers::U8(&first.codes)),
                ("first8_largest", Numbers::F32(&first.largest)),
                ("second8", Numbers::U8(&second.codes)),
                ("second8_largest", Numbers::F32(&second.largest)),
            ],
            States::Muon { momentum, .. } => vec![("momentum", Numbers::F32(momentum))],
        }
    }

    /// What is written of a tensor with this name and shape.
    pub fn stored<'a>(
        &'a self,
        name: &'a str,
        shape: &'a [usize],
    ) -> impl Iterator<Item = (String, Stored<'a>)> + 'a {
        self.entries().into_iter().map(move |(kind, numbers)| {
            let shape = match (&numbers, kind.ends_with("_largest")) {
                (Numbers::F32(values), true) => vec![values.len()],
                _ => shape.to_vec(),
            };
            (format!("{kind}.{name}"), Stored { shape, numbers })
        })
    }

    /// Reads back what [`States::stored`] wrote.
    ///
    /// # Errors
    /// Says what the file lacks, or has in another form.
    pub fn read(&mut self, file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<(), String> {
        let view = |kind: &str, dtype: Dtype, shape: &[usize]| {
            let name = format!("{kind}.{name}");
            let view = file.tensor(&name).map_err(|e| e.to_string())?;
            if view.dtype() != dtype || view.shape() != shape {
                return Err(format!(
                    "{name} is {:?} {:?}, not {dtype:?} {shape:?}",
                    view.dtype(),
                    view.shape()
                ));
            }
            Ok(view)
        };
        let floats = |kind: &str, into: &mut Vec<f32>, shape: &[usize]| {
            copy(into, &view(kind, Dtype::F32, shape)?);
            Ok(())
        };
        let blocks = |kind: &str, into: &mut Blocks| {
            into.codes.copy_from_slice(view(kind, Dtype::U8, shape)?.data());
            let count = into.largest.len();
            floats(&format!("{kind}_largest"), &mut into.largest, &[count])
        };
        match self {
            States::AdamW { first, second } => {
                floats("first", first, shape)?;
                floats("second", second, shape)
            }
            States::AdamW8bit { first, second } => {
                blocks("first8", first)?;
                blocks("second8", second)
            }
            States::Muon { momentum, .. } => floats("momentum", momentum, shape),
        }
    }
}

fn copy(into: &mut [f32], view: &TensorView<'_>) {
    for (value, raw) in into.iter_mut().zip(view.data().as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*raw);
    }
}

/// Numbers that are turned into bytes when they are written.
enum Numbers<'a> {
    F32(&'a [f32]),
    U8(&'a [u8]),
}

/// An entry of the checkpoint's file.
pub struct Stored<'a> {
    shape: Vec<usize>,
    numbers: Numbers<'a>,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.numbers {
            Numbers::F32(_) => Dtype::F32,
            Numbers::U8(_) => Dtype::U8,
        }
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        match self.numbers {
            Numbers::F32(values) => values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into(),
            Numbers::U8(codes) => Cow::Borrowed(codes),
        }
    }
    fn data_len(&self) -> usize {
        match self.numbers {
            Numbers::F32(values) => values.len() * 4,
            Numbers::U8(codes) => codes.len(),
        }
    }
}

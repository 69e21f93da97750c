//! A model's weights as files have them.

use crate::tensor::Numbers;
use crate::Model;

/// A weight by its Hugging Face name.
pub struct StoredWeight<'a> {
    /// Hugging Face name.
    pub name: &'a str,
    /// As in the file: a matrix that is stored `[in, out]` has this order here.
    pub shape: Vec<usize>,
    numbers: Numbers<'a>,
}

impl<'a> StoredWeight<'a> {
    /// The numbers, which weights of low precision stand for, made now.
    pub fn numbers(&self) -> std::borrow::Cow<'a, [f32]> {
        (self.numbers)()
    }
}

impl Model {
    /// Every weight of the base, without an adapter that is not merged. A tied output projection is not among them.
    pub fn stored(&self) -> impl Iterator<Item = StoredWeight<'_>> {
        self.weights.tensors.iter().flat_map(|t| t.files()).map(|(part, numbers)| StoredWeight {
            name: &part.name,
            shape: part.stored_shape(),
            numbers,
        })
    }
}

//! A reference file, and which of its tensors were looked at.

use crate::batch::{Packed, IGNORE};
use crate::store;
use safetensors::tensor::Dtype;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tillage_protocol::EngineError;

/// A tensor of the reference.
#[derive(Debug, Clone)]
pub(super) enum Data {
    Float(Vec<f32>),
    Int(Vec<i64>),
}

/// A reference file with the JSON beside it.
#[derive(Debug)]
pub struct Golden {
    tensors: BTreeMap<String, (Vec<usize>, Data)>,
    used: BTreeSet<String>,
    pub(super) json: Value,
}

impl Golden {
    /// Reads the whole file.
    ///
    /// # Errors
    /// `user` when it is missing, damaged or holds unknown number formats.
    pub fn open(path: &Path) -> Result<Golden, EngineError> {
        let bytes = store::open(path)?;
        let file = store::parse(&bytes, path)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let data = match view.dtype() {
                Dtype::I64 => {
                    Data::Int(view.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
                }
                Dtype::U8 => Data::Int(view.data().iter().map(|&b| i64::from(b)).collect()),
                Dtype::I8 => Data::Int(view.data().iter().map(|&b| i64::from(b as i8)).collect()),
                other => Data::Float(store::to_f32(&name, other, view.data(), path)?),
            };
            tensors.insert(name, (view.shape().to_vec(), data));
        }
        Ok(Golden { tensors, used: BTreeSet::new(), json: super::json_beside(path)? })
    }

    pub(super) fn is_trajectory(&self) -> bool {
        self.has_prefix("lora.final.") || self.has_prefix("full.final.")
    }

    pub(super) fn has_prefix(&self, prefix: &str) -> bool {
        self.tensors.keys().any(|k| k.starts_with(prefix))
    }

    /// Names that begin with a prefix, without it.
    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        self.tensors.keys().filter_map(|k| k.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    pub(super) fn use_prefix(&mut self, prefix: &str) {
        self.used.extend(self.tensors.keys().filter(|k| k.starts_with(prefix)).cloned());
    }

    pub(super) fn unused(&self) -> Vec<String> {
        self.tensors.keys().filter(|k| !self.used.contains(*k)).cloned().collect()
    }

    /// Shape and numbers, if the reference has them.
    pub(super) fn floats(&mut self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let (shape, Data::Float(values)) = self.tensors.get(name)? else { return None };
        self.used.insert(name.to_owned());
        Some((shape.clone(), values.clone()))
    }

    /// Shape and whole numbers, if the reference has them.
    pub(super) fn ints(&mut self, name: &str) -> Option<(Vec<usize>, Vec<i64>)> {
        let (shape, Data::Int(values)) = self.tensors.get(name)? else { return None };
        self.used.insert(name.to_owned());
        Some((shape.clone(), values.clone()))
    }

    /// Token ids.
    pub(super) fn tokens(&mut self, name: &str) -> Option<Vec<u32>> {
        Some(self.ints(name)?.1.into_iter().map(|t| t as u32).collect())
    }

    /// The batch of `input_ids`, `attention_mask` and `labels`, each row an example cut at its padding.
    pub(super) fn batch(&mut self) -> Option<Packed> {
        let (shape, ids) = self.ints("input_ids")?;
        let (_, mask) = self.ints("attention_mask")?;
        let (_, labels) = self.ints("labels")?;
        let width = *shape.get(1)?;
        let lengths = mask.chunks(width).map(|row| row.iter().filter(|&&m| m != 0).count());
        Some(pack(
            ids.chunks(width).zip(labels.chunks(width)).zip(lengths).map(|((i, l), n)| (&i[..n], &l[..n])),
        ))
    }
}

/// Packs rows with labels in the place of the token itself, as transformers has them.
pub(super) fn pack<'a>(rows: impl Iterator<Item = (&'a [i64], &'a [i64])>) -> Packed {
    let mut pack = Packed { starts: vec![0], ..Packed::default() };
    for (ids, labels) in rows {
        pack.tokens.extend(ids.iter().map(|&t| t as u32));
        pack.labels.extend(&labels[1..]);
        pack.labels.push(IGNORE);
        pack.starts.push(pack.tokens.len());
    }
    pack
}

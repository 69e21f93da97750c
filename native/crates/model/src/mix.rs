//! Several adapters at once: held by name beside the model's own, switched and mixed for each sequence of a pass.
//!
//! A mixture adds the adapters' changes, each times its weight: y = W x + Σ w s B A x. That is PEFT's `set_adapter` with several
//! names, and its `add_weighted_adapter` with the combination `cat`; PEFT's `linear` adds A's and B's instead, which is the
//! product of sums and not the sum of products.

use crate::adapter::Adapter;
use crate::linear::{self, Place};
use crate::peft::Tuned;
use crate::prompt::Prompt;
use crate::weights::Tensor;
use crate::Model;
use std::path::Path;
use tillage_kernels::cpu;
use tillage_protocol::EngineError;

/// An adapter that is held by name.
#[derive(Debug)]
pub(crate) struct Named {
    /// What mixtures call it.
    pub name: String,
    /// Its numbers.
    pub what: Tuned,
}

/// Which of the adapters that are held add to a sequence, and with what weights; none: the base alone. It holds until one of
/// them is removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mix(Vec<(usize, f32)>);

/// The mixtures of a pass, and which row has which.
#[derive(Debug)]
pub(crate) struct Routes {
    mixes: Vec<Mix>,
    of_row: Vec<usize>,
}

impl Routes {
    /// Rows by the offsets of the sequences, each with its mixture.
    pub fn new(starts: &[usize], mixes: &[&Mix]) -> Routes {
        let mut routes = Routes { mixes: Vec::new(), of_row: Vec::new() };
        for (span, mix) in starts.windows(2).zip(mixes) {
            let known = routes.mixes.iter().position(|m| m == *mix);
            let which = known.unwrap_or_else(|| {
                routes.mixes.push((*mix).clone());
                routes.mixes.len() - 1
            });
            routes.of_row.resize(span[1], which);
        }
        routes
    }
}

/// What adds to a projection.
#[derive(Clone, Copy)]
pub(crate) enum Adding<'a> {
    /// The model's own adapter, on every row.
    One(Option<&'a Adapter>),
    /// Adapters that are held by name, each on its rows.
    Routed(Routed<'a>),
}

#[derive(Clone, Copy)]
pub(crate) struct Routed<'a> {
    library: &'a [Named],
    routes: &'a Routes,
    /// Where the projection sees some rows only: which.
    rows: Option<&'a [usize]>,
}

impl<'a> Routed<'a> {
    /// The adapter that every row has, alone and unweighed, where that is so.
    pub fn alone(&self) -> Option<&'a Adapter> {
        let [Mix(parts)] = &self.routes.mixes[..] else { return None };
        match (&parts[..], parts.first().map(|(id, _)| &self.library[*id].what)) {
            ([(_, 1.0)], Some(Tuned::Lora(adapter))) => Some(adapter),
            _ => None,
        }
    }

    /// As [`linear::add`], each row with its own mixture.
    pub fn add(
        &self,
        y: &mut [f32],
        x: &[f32],
        tensors: &[Tensor],
        at: &Place,
        hidden: &mut Vec<f32>,
        scratch: &mut Vec<f32>,
    ) {
        let (width, inputs) = (y.len() / at.rows, x.len() / at.rows);
        let of = |row: usize| self.routes.of_row[self.rows.map_or(row, |rows| rows[row])];
        for (which, mix) in self.routes.mixes.iter().enumerate() {
            let adapters = mix.0.iter().filter_map(|&(id, weight)| match &self.library[id].what {
                Tuned::Lora(adapter) => Some((adapter, weight)),
                Tuned::Prompt(_) => None,
            });
            let adapters: Vec<(&Adapter, f32)> = adapters.collect();
            let rows: Vec<usize> = (0..at.rows).filter(|row| of(*row) == which).collect();
            if adapters.is_empty() || rows.is_empty() {
                continue;
            }
            if rows.len() == at.rows {
                for (adapter, weight) in adapters {
                    linear::add(y, x, tensors, (Some(adapter), weight), at, hidden, scratch);
                }
                continue;
            }
            let (mut own_x, mut own_y) = (vec![0.0; rows.len() * inputs], vec![0.0; rows.len() * width]);
            cpu::gather_rows(&mut own_x, x, &rows, inputs);
            cpu::gather_rows(&mut own_y, y, &rows, width);
            let own = Place { rows: rows.len(), ..*at };
            for (adapter, weight) in adapters {
                linear::add(&mut own_y, &own_x, tensors, (Some(adapter), weight), &own, hidden, scratch);
            }
            for (row, own) in rows.iter().zip(own_y.chunks_exact(width)) {
                y[row * width..(row + 1) * width].copy_from_slice(own);
            }
        }
    }
}

impl Model {
    /// What adds to a projection that sees all rows of a pass, or some.
    pub(crate) fn adding<'a>(&'a self, routes: &'a Option<Routes>, rows: Option<&'a [usize]>) -> Adding<'a> {
        match routes {
            None => Adding::One(self.adapter.as_ref()),
            Some(routes) => Adding::Routed(Routed { library: &self.library, routes, rows }),
        }
    }

    /// Holds a PEFT adapter's folder under a name, beside the model's own adapter, which it neither replaces nor changes. An
    /// adapter of that name is replaced.
    ///
    /// # Errors
    /// As [`Model::load_adapter`].
    pub fn hold_adapter(&mut self, name: &str, dir: &Path) -> Result<(), EngineError> {
        let mut what = crate::peft::load(dir, &self.spec)?;
        if let Tuned::Prompt(prompt) = &mut what {
            // Tokens of its own, behind those of every other prompt.
            let prompts = self.library.iter().filter_map(|n| n.what.prompt()).chain(&self.prompt);
            let behind = prompts.map(|p| p.tokens().end).max();
            prompt.first = behind.unwrap_or(self.config.vocab_size as u32);
        }
        self.library.retain(|n| n.name != name);
        self.library.push(Named { name: name.to_owned(), what });
        Ok(())
    }

    /// Gives an adapter up that was held by name. True when there was one.
    pub fn drop_adapter(&mut self, name: &str) -> bool {
        let before = self.library.len();
        self.library.retain(|n| n.name != name);
        self.library.len() < before
    }

    /// Names of the adapters that are held, the oldest first.
    pub fn held_adapters(&self) -> impl Iterator<Item = &str> {
        self.library.iter().map(|n| n.name.as_str())
    }

    /// A mixture of adapters that are held.
    ///
    /// # Errors
    /// `unknown_adapter` when none has a name; `bad_mix` for a weight that is no number, and for what cannot be mixed: DoRA, whose
    /// factors are those of one sum, with others or with a weight other than 1 (PEFT adds such up one after the other, so that the
    /// result depends on the order), and prompts, of which a text can have one.
    pub fn mix(&self, parts: &[(&str, f64)]) -> Result<Mix, EngineError> {
        let mut mix = Mix::default();
        for &(name, weight) in parts {
            let Some(id) = self.library.iter().position(|n| n.name == name) else {
                let known: Vec<&str> = self.held_adapters().collect();
                return Err(EngineError::user(
                    "unknown_adapter",
                    format!("There is no adapter named {name:?}."),
                    format!("Name one of those that were given: {}.", known.join(", ")),
                ));
            };
            let bad = |why: &str, remedy: &str| {
                Err(EngineError::user("bad_mix", format!("The adapter {name:?} {why}."), remedy.to_owned()))
            };
            if !weight.is_finite() {
                return bad("has a weight that is no number", "Give it a number, such as 0.5.");
            }
            if mix.0.iter().any(|(other, _)| *other == id) {
                return bad("is named twice", "Name it once, with the sum of its weights.");
            }
            let alone = parts.len() == 1 && weight == 1.0;
            match &self.library[id].what {
                Tuned::Lora(adapter) if adapter.config.dora && !alone => {
                    return bad(
                        "is a DoRA adapter, which cannot be mixed or weighed",
                        "Use it alone with the weight 1, or merge it into the base first.",
                    )
                }
                Tuned::Prompt(_) if !alone => {
                    return bad(
                        "is a tuned prompt, which cannot be mixed or weighed",
                        "Use it alone with the weight 1.",
                    )
                }
                _ => {}
            }
            mix.0.push((id, weight as f32));
        }
        Ok(mix)
    }

    /// The tokens that stand before every text: those of the mixture's tuned prompt, and without a mixture those of the
    /// model's own; none where there is no prompt.
    pub fn prefix(&self, mix: Option<&Mix>) -> Vec<u32> {
        let prompt = match mix {
            None => self.prompt.as_ref().filter(|p| p.enabled),
            Some(mix) => mix.0.iter().find_map(|(id, _)| self.library[*id].what.prompt()),
        };
        prompt.map(Prompt::tokens).into_iter().flatten().collect()
    }
}

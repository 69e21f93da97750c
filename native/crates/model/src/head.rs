//! The last norm, the projection to the vocabulary and the loss, at labelled positions only.

use crate::batch::{Packed, StepLoss, IGNORE};
use crate::model::Model;
use crate::norms;
use crate::workspace::{head_chunk, HeadBuffers, Workspace};
use tillage_kernels::cpu::{self, Target};

impl Model {
    /// Loss of the residual stream in `ws.x`; with `gradient`, `ws.dx` receives its gradient, and the head's and the
    /// last norm's gradients are added where they are trained.
    pub(crate) fn loss(&mut self, batch: &Packed, ws: &mut Workspace, gradient: bool) -> StepLoss {
        self.loss_of(labelled(batch), batch, ws, gradient)
    }

    /// As [`Model::loss`], of labels whose gradients are given.
    pub(crate) fn loss_of(
        &mut self,
        targets: Vec<Labelled>,
        batch: &Packed,
        ws: &mut Workspace,
        gradient: bool,
    ) -> StepLoss {
        let mut report = empty_report(batch, targets.len());
        if gradient {
            ws.dx.fill(0.0);
        }
        for chunk in targets.chunks(head_chunk(self.config())) {
            let (rows, targets): (Vec<usize>, Vec<Target>) = chunk.iter().map(|l| (l.row, l.target)).unzip();
            self.head_logits(&rows, ws);
            self.keep_capped(&mut ws.head);
            cool(&mut ws.head.logits, batch);
            ws.head.nll.resize(rows.len(), 0.0);
            cpu::cross_entropy(&mut ws.head.logits, &mut ws.head.nll, &targets, gradient);
            account(&mut report, chunk, &ws.head.nll);
            if gradient {
                cool(&mut ws.head.logits, batch);
                self.head_backward(&rows, ws);
            }
        }
        report
    }

    /// As [`Model::loss`] without gradients; `each` sees every label's loss in turn.
    pub(crate) fn loss_value(
        &self,
        batch: &Packed,
        ws: &mut Workspace,
        each: &mut dyn FnMut(&[f32]),
    ) -> StepLoss {
        let targets = labelled(batch);
        let mut report = empty_report(batch, targets.len());
        for chunk in targets.chunks(head_chunk(self.config())) {
            let (rows, targets): (Vec<usize>, Vec<Target>) = chunk.iter().map(|l| (l.row, l.target)).unzip();
            self.head_logits(&rows, ws);
            cool(&mut ws.head.logits, batch);
            ws.head.nll.resize(rows.len(), 0.0);
            cpu::cross_entropy(&mut ws.head.logits, &mut ws.head.nll, &targets, false);
            account(&mut report, chunk, &ws.head.nll);
            each(&ws.head.nll);
        }
        report
    }

    /// The last norm of some rows of `ws.x`, into `ws.head.norm`.
    pub(crate) fn head_norm(&self, rows: &[usize], ws: &mut Workspace) {
        let width = self.config().hidden_size;
        let head = &mut ws.head;
        head.x.resize(rows.len() * width, 0.0);
        head.norm.resize(rows.len() * width, 0.0);
        head.stats.resize(rows.len() * norms::stats_width(self.config()), 0.0);
        cpu::gather_rows(&mut head.x, &ws.x, rows, width);
        let tensors = &self.weights.tensors;
        let ids = &self.weights.final_norm;
        norms::forward(self.config(), tensors, ids, &mut head.norm, &mut head.stats, &head.x);
    }

    /// Logits of some rows of `ws.x`, into `ws.head.logits`.
    pub(crate) fn head_logits(&self, rows: &[usize], ws: &mut Workspace) {
        self.head_norm(rows, ws);
        let head = &mut ws.head;
        head.logits.resize(rows.len() * self.config().vocab_size, 0.0);
        let table = &self.weights.tensors[self.weights.head];
        let scale = self.config().scales.logits;
        cpu::pooled(|| table.linear(&mut head.logits, &head.norm, rows.len(), scale, false));
        if self.config().logits_softcap > 0.0 {
            cpu::soft_cap(&mut head.logits, self.config().logits_softcap);
        }
    }

    /// Keeps the capped logits, whose gradient needs them, before the loss turns them into gradients.
    pub(crate) fn keep_capped(&self, head: &mut HeadBuffers) {
        if self.config().logits_softcap > 0.0 {
            head.capped.clone_from(&head.logits);
        }
    }

    /// From the gradient of the logits in `ws.head.logits` to that of the residual stream.
    pub(crate) fn head_backward(&mut self, rows: &[usize], ws: &mut Workspace) {
        let Model { config, weights, .. } = self;
        let width = config.hidden_size;
        let head = &mut ws.head;
        if config.logits_softcap > 0.0 {
            cpu::soft_cap_backward(&mut head.logits, &head.capped, config.logits_softcap);
        }
        let table = &mut weights.tensors[weights.head];
        head.dnorm.resize(rows.len() * width, 0.0);
        let scale = config.scales.logits;
        table.backward_input(&mut head.dnorm, &head.logits, rows.len(), scale, false);
        table.backward_weight(&head.logits, &head.norm, rows.len(), scale);
        head.dx.clear();
        head.dx.resize(rows.len() * width, 0.0);
        let ids = &weights.final_norm;
        norms::backward(config, &mut weights.tensors, ids, &mut head.dx, &head.dnorm, &head.x, &head.stats);
        cpu::scatter_add_rows(&mut ws.dx, &head.dx, rows, width);
    }
}

/// Divides logits, or their gradients, by the batch's temperature.
fn cool(logits: &mut [f32], batch: &Packed) {
    cpu::scale(logits, 1.0 / batch.temperature.unwrap_or(1.0));
}

/// A position that carries a label.
pub(crate) struct Labelled {
    /// Its place in the pack.
    pub row: usize,
    /// The example that it belongs to.
    pub example: usize,
    /// What the example weighs.
    pub weight: f32,
    /// The label, and the factor on its gradient.
    pub target: Target,
}

pub(crate) fn labelled(batch: &Packed) -> Vec<Labelled> {
    let normalizer = batch.normalizer.unwrap_or(batch.labelled() as f32);
    let mut all = Vec::with_capacity(batch.labelled());
    for (example, span) in batch.starts.windows(2).enumerate() {
        let weight = batch.weights.as_ref().map_or(1.0, |w| w[example]);
        let labels = &batch.labels[span[0]..span[1]];
        all.extend(labels.iter().enumerate().filter(|(_, &l)| l != IGNORE).map(|(i, &label)| Labelled {
            row: span[0] + i,
            example,
            weight,
            target: Target { label: label as u32, grad: weight / normalizer },
        }));
    }
    all
}

pub(crate) fn empty_report(batch: &Packed, tokens: usize) -> StepLoss {
    StepLoss { sum: 0.0, tokens, per_example: vec![(0.0, 0); batch.examples()] }
}

fn account(report: &mut StepLoss, chunk: &[Labelled], nll: &[f32]) {
    for (position, &nll) in chunk.iter().zip(nll) {
        let nll = f64::from(nll);
        report.sum += nll * f64::from(position.weight);
        let (sum, count) = &mut report.per_example[position.example];
        *sum += nll;
        *count += 1;
    }
}

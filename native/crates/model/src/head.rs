//! The last norm, the projection to the vocabulary and the loss, at labelled positions only.

use crate::batch::{Packed, StepLoss, IGNORE};
use crate::model::Model;
use crate::workspace::{head_chunk, Workspace};
use tillage_kernels::cpu::{self, Target};

impl Model {
    /// Loss of the residual stream in `ws.x`; with `gradient`, `ws.dx` receives its gradient, and the head's and the
    /// last norm's gradients are added where they are trained.
    pub(crate) fn loss(&mut self, batch: &Packed, ws: &mut Workspace, gradient: bool) -> StepLoss {
        let targets = labelled(batch);
        let mut report = empty_report(batch, targets.len());
        if gradient {
            ws.dx.fill(0.0);
        }
        for chunk in targets.chunks(head_chunk(self.config())) {
            let (rows, targets): (Vec<usize>, Vec<Target>) = chunk.iter().map(|l| (l.row, l.target)).unzip();
            self.head_logits(&rows, ws);
            ws.head.nll.resize(rows.len(), 0.0);
            cpu::cross_entropy(&mut ws.head.logits, &mut ws.head.nll, &targets, gradient);
            account(&mut report, chunk, &ws.head.nll);
            if gradient {
                self.head_backward(&rows, ws);
            }
        }
        report
    }

    /// As [`Model::loss`] without gradients.
    pub(crate) fn loss_value(&self, batch: &Packed, ws: &mut Workspace) -> StepLoss {
        let targets = labelled(batch);
        let mut report = empty_report(batch, targets.len());
        for chunk in targets.chunks(head_chunk(self.config())) {
            let (rows, targets): (Vec<usize>, Vec<Target>) = chunk.iter().map(|l| (l.row, l.target)).unzip();
            self.head_logits(&rows, ws);
            ws.head.nll.resize(rows.len(), 0.0);
            cpu::cross_entropy(&mut ws.head.logits, &mut ws.head.nll, &targets, false);
            account(&mut report, chunk, &ws.head.nll);
        }
        report
    }

    /// Logits of some rows of `ws.x`, into `ws.head.logits`.
    pub(crate) fn head_logits(&self, rows: &[usize], ws: &mut Workspace) {
        let (width, vocab) = (self.config().hidden_size, self.config().vocab_size);
        let head = &mut ws.head;
        head.x.resize(rows.len() * width, 0.0);
        head.norm.resize(rows.len() * width, 0.0);
        head.inverse.resize(rows.len(), 0.0);
        head.logits.resize(rows.len() * vocab, 0.0);
        cpu::gather_rows(&mut head.x, &ws.x, rows, width);
        let norm = &self.weights.tensors[self.weights.final_norm].value;
        cpu::rms_norm(&mut head.norm, &mut head.inverse, &head.x, norm, self.config().rms_norm_eps as f32);
        cpu::linear(
            &mut head.logits,
            &head.norm,
            &self.weights.tensors[self.weights.head].value,
            rows.len(),
            1.0,
            false,
        );
    }

    /// From the gradient of the logits in `ws.head.logits` to that of the residual stream.
    fn head_backward(&mut self, rows: &[usize], ws: &mut Workspace) {
        let width = self.config().hidden_size;
        let head = &mut ws.head;
        let table = &mut self.weights.tensors[self.weights.head];
        head.dnorm.resize(rows.len() * width, 0.0);
        cpu::linear_backward_input(&mut head.dnorm, &head.logits, &table.value, rows.len(), 1.0, false);
        if let Some(d) = table.grad_mut() {
            cpu::linear_backward_weight(d, &head.logits, &head.norm, rows.len(), 1.0);
        }
        head.dx.clear();
        head.dx.resize(rows.len() * width, 0.0);
        let norm = &mut self.weights.tensors[self.weights.final_norm];
        let trained = (!norm.grad.is_empty()).then_some(&mut norm.grad[..]);
        cpu::rms_norm_backward(Some(&mut head.dx), trained, &head.dnorm, &head.x, &norm.value, &head.inverse);
        cpu::scatter_add_rows(&mut ws.dx, &head.dx, rows, width);
    }
}

/// A position that carries a label.
struct Labelled {
    row: usize,
    example: usize,
    weight: f32,
    target: Target,
}

fn labelled(batch: &Packed) -> Vec<Labelled> {
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

fn empty_report(batch: &Packed, tokens: usize) -> StepLoss {
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

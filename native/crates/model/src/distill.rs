//! A student's loss against a teacher's distribution over the vocabulary.

use crate::attention::Context;
use crate::batch::{Packed, StepLoss};
use crate::head::{empty_report, labelled, Labelled};
use crate::workspace::{head_chunk, Keep, Workspace};
use crate::Model;
use tillage_kernels::cpu::{self, Distillation, Target};
use tillage_protocol::EngineError;

/// The loss of a batch, and of what it is made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DistillLoss {
    /// α T² KL + (1 - α) NLL over the labelled tokens, in nats; the sum with the examples' weights.
    pub loss: StepLoss,
    /// Sum over the labelled tokens of the divergence from the teacher, nats, without weights.
    pub divergence: f64,
    /// Sum over the labelled tokens of the labels' own loss, nats, without weights.
    pub nll: f64,
}

impl Model {
    /// Computes a batch's loss against a teacher with the same vocabulary, and adds d(Σ loss) / normaliser to the
    /// gradients of what is trained.
    ///
    /// # Errors
    /// As [`Model::forward_backward`]; `user` when the vocabularies differ.
    pub fn distill(
        &mut self,
        batch: &Packed,
        teacher: &Model,
        settings: Distillation,
    ) -> Result<DistillLoss, EngineError> {
        self.check_trainable()?;
        let (mut ws, mut theirs) = self.distill_layers(batch, teacher, true)?;
        let targets = labelled(batch);
        let mut found = empty(batch, &targets);
        ws.dx.fill(0.0);
        for chunk in targets.chunks(head_chunk(self.config())) {
            self.distill_chunk(chunk, teacher, settings, [&mut ws, &mut theirs], true, &mut found);
            self.head_backward(&chunk.iter().map(|l| l.row).collect::<Vec<_>>(), &mut ws);
        }
        teacher.give_back(theirs);
        if found.loss.tokens > 0 {
            self.backward_layers(&batch.tokens, &batch.starts, &mut ws);
        }
        self.give_back(ws);
        Ok(found)
    }

    /// The same loss without dropout and without gradients.
    ///
    /// # Errors
    /// As [`Packed::check`]; `user` when the vocabularies differ.
    pub fn distill_loss(
        &self,
        batch: &Packed,
        teacher: &Model,
        settings: Distillation,
    ) -> Result<DistillLoss, EngineError> {
        let (mut ws, mut theirs) = self.distill_layers(batch, teacher, false)?;
        let targets = labelled(batch);
        let mut found = empty(batch, &targets);
        for chunk in targets.chunks(head_chunk(self.config())) {
            self.distill_chunk(chunk, teacher, settings, [&mut ws, &mut theirs], false, &mut found);
        }
        teacher.give_back(theirs);
        self.give_back(ws);
        Ok(found)
    }

    /// Runs both models' layers.
    fn distill_layers(
        &self,
        batch: &Packed,
        teacher: &Model,
        keep: bool,
    ) -> Result<(Workspace, Workspace), EngineError> {
        self.check_teacher(teacher)?;
        batch.check(self.config.vocab_size)?;
        let (mut ws, mut theirs) = (self.workspace(), teacher.workspace());
        teacher.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut theirs, Keep::Nothing);
        self.run_layers(
            &batch.tokens,
            Context::Pack(&batch.starts),
            &mut ws,
            if keep { self.keeping() } else { Keep::Nothing },
        );
        Ok((ws, theirs))
    }

    /// A teacher must know the same tokens.
    ///
    /// # Errors
    /// `vocab_mismatch` with both sizes.
    pub fn check_teacher(&self, teacher: &Model) -> Result<(), EngineError> {
        let (own, theirs) = (self.config.vocab_size, teacher.config.vocab_size);
        if own == theirs {
            return Ok(());
        }
        Err(EngineError::user(
            "vocab_mismatch",
            format!("The teacher knows {theirs} tokens, the student {own}: their distributions cannot be compared."),
            "Choose a teacher with the same tokenizer.",
        ))
    }

    fn distill_chunk(
        &self,
        chunk: &[Labelled],
        teacher: &Model,
        settings: Distillation,
        [ws, theirs]: [&mut Workspace; 2],
        gradient: bool,
        found: &mut DistillLoss,
    ) {
        let (rows, targets): (Vec<usize>, Vec<Target>) = chunk.iter().map(|l| (l.row, l.target)).unzip();
        teacher.head_logits(&rows, theirs);
        self.head_logits(&rows, ws);
        self.keep_capped(&mut ws.head);
        let mut divergence = vec![0.0; rows.len()];
        let head = &mut ws.head;
        head.nll.resize(rows.len(), 0.0);
        let out = [&mut divergence[..], &mut head.nll[..]];
        cpu::distill(&mut head.logits, &theirs.head.logits, out, &targets, settings, gradient);
        let (alpha, square) = (f64::from(settings.alpha), f64::from(settings.temperature).powi(2));
        for ((label, kl), nll) in chunk.iter().zip(&divergence).zip(&head.nll) {
            let (kl, nll) = (f64::from(*kl), f64::from(*nll));
            let loss = alpha * square * kl + (1.0 - alpha) * nll;
            found.divergence += kl;
            found.nll += nll;
            found.loss.sum += loss * f64::from(label.weight);
            let (sum, count) = &mut found.loss.per_example[label.example];
            *sum += loss;
            *count += 1;
        }
    }
}

fn empty(batch: &Packed, targets: &[Labelled]) -> DistillLoss {
    DistillLoss { loss: empty_report(batch, targets.len()), ..DistillLoss::default() }
}

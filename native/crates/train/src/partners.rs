//! What learns nothing but is asked: a teacher, the reference of a policy, the rewards of its answers.

use crate::method::Method;
use crate::reward::{self, Rewards};
use crate::{reference, setup};
use tillage_model::{Model, ModelConfig};
use tillage_protocol::run::{Dtype, ModelSource, RewardKind};
use tillage_protocol::{EngineError, RunSpec};
use tillage_text::Clock;

/// All of it.
#[derive(Debug, Default)]
pub struct Partners {
    /// What a distillation learns from.
    pub teacher: Option<Model>,
    /// What a policy's answers are held against, where switching its adapter off does not give it.
    pub reference: Option<Model>,
    /// What the model's own answers are worth.
    pub rewards: Option<Rewards>,
}

impl Partners {
    /// Loads what the run asks. Returns also the hashes of the models among it: other ones would make another run, as another
    /// base would.
    ///
    /// # Errors
    /// User errors of the folders; `vocab_mismatch` when a teacher knows other tokens.
    pub fn load(
        spec: &RunSpec,
        method: &Method,
        student: &Model,
        clock: chrono::NaiveDateTime,
        run_dir: &std::path::Path,
    ) -> Result<(Self, Vec<String>), EngineError> {
        let mut this = Self::default();
        let mut hashes = Vec::new();
        if let Some(d) = &spec.distill {
            // The answers of a teacher that has answered are rows; it is not asked any more.
            if d.sequence.is_none() {
                setup::check_weights(&ModelConfig::from_dir(&d.teacher)?, None, spec.dtype)?;
                let teacher = tillage_generate::load(&d.teacher, d.adapter.as_deref(), spec.dtype)?;
                student.check_teacher(&teacher)?;
                this.teacher = Some(teacher);
            }
            hashes.push(tillage_generate::model_hash(&d.teacher)?);
            hashes.extend(d.adapter.as_deref().map(tillage_generate::adapter_hash).transpose()?);
        }
        if let (Method::Policy(settings), ModelSource::Folder { path, adapter }) = (method, &spec.model) {
            let switched_off = spec.adapter.is_some() && adapter.is_none();
            if settings.needs_reference() && !switched_off {
                let held = if spec.freezes() { spec.dtype } else { Dtype::F32 };
                setup::check_weights(&ModelConfig::from_dir(path)?, None, held)?;
                this.reference = Some(reference::load(spec, path, adapter.as_deref())?);
                hashes.extend(adapter.as_deref().map(tillage_generate::adapter_hash).transpose()?);
            }
        }
        if let Some(policy) = &spec.policy {
            let around = reward::Around {
                run_dir,
                template: &spec.template,
                context: spec.train.context,
                batch_tokens: spec.train.batch_tokens,
                dtype: spec.dtype,
                clock: Clock::Fixed(clock),
            };
            this.rewards = Some(Rewards::new(&policy.rewards, &around)?);
            for config in &policy.rewards {
                if let RewardKind::RewardModel { base, adapter, .. } = &config.kind {
                    hashes.push(tillage_generate::model_hash(base)?);
                    hashes.push(tillage_generate::adapter_hash(adapter)?);
                }
            }
        }
        Ok((this, hashes))
    }

    /// Bytes that they take at their peak, over batches of so many tokens.
    pub fn planned_bytes(&self, batch_tokens: usize) -> usize {
        let judges = self.rewards.iter().flat_map(Rewards::models);
        let all = self.teacher.iter().chain(&self.reference).chain(judges);
        all.map(|model| model.plan_scoring_bytes(batch_tokens)).sum()
    }
}

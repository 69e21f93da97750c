//! Distillation of whole answers (Kim and Rush 2016): the teacher answers every prompt once, and the student learns its answers.
//!
//! The answers stand in `teacher_answers.jsonl` in the run's folder: a first line that says what they belong to, then one line an
//! answer, training rows first. They are written in groups of [`GROUP`], so that a run that was killed goes on with the next one
//! and comes to the same answers. The teacher is let go before the student is loaded.

use crate::checkpoint::Checkpoint;
use crate::control::Control;
use crate::data::{DataRow, Rows, Splits};
use crate::events::EventLog;
use crate::setup::{self, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use tillage_generate::{generate_all, Flow, Job, Sampling, WIDTH};
use tillage_model::machine::Machine;
use tillage_model::{Model, ModelConfig};
use tillage_protocol::evidence::TeacherAnswer;
use tillage_protocol::run::{DistillConfig, LossOn, SequenceConfig};
use tillage_protocol::{EngineError, Event, RunSpec};
use tillage_text::{Clock, RowEncoder, RowText, Tokenizer};

/// The file in the run's folder.
const FILE: &str = "teacher_answers.jsonl";

/// Answers that are written together.
const GROUP: usize = 4 * WIDTH;

/// The first line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    /// SHA-256 of the teacher, the prompts, and all that decides its answers.
    of: String,
    teacher: String,
    train: usize,
    valid: usize,
}

/// What became of the questions.
#[derive(Debug)]
pub enum Asked {
    /// The run has no teacher that answers.
    Nobody,
    /// Rows whose completions are the teacher's, and the bytes that asking took at its peak; 0 where all had been answered.
    All(Splits, u64),
    /// The run was asked to stop; what was answered is kept.
    Stopped,
}

/// What the answers will take, before a run is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answering {
    /// Foreseen, for all prompts.
    pub seconds: f64,
    /// At the peak, the process itself included.
    pub bytes: u64,
}

/// The teacher, ready to be asked.
struct Teacher<'a> {
    model: Model,
    encoder: RowEncoder,
    settings: &'a SequenceConfig,
    seed: u64,
}

/// Makes the teacher's answers known for all rows: reads those that are there, and asks for the others.
///
/// # Errors
/// User errors of rows and teacher; the machine's.
pub fn ensure(
    spec: &RunSpec,
    run_dir: &Path,
    begin: Option<&Checkpoint>,
    log: &mut EventLog,
    control: &Control,
) -> Result<Asked, EngineError> {
    let Some((config, settings)) = wanted(spec) else { return Ok(Asked::Nobody) };
    let mut splits = Splits::read(spec, Rows::Questions)?;
    let head = head(spec, config, settings, &splits)?;
    let path = run_dir.join(FILE);
    let mut answers = read(&path, &head, &splits);
    let of = splits.train.len() + splits.valid.len();
    let mut bytes = 0;
    if answers.len() < of {
        // Whole groups alone are kept, so that every group is generated as in a run that nobody ended.
        answers.truncate(answers.len() / GROUP * GROUP);
        let mut file = rewrite(&path, &head, &answers)?;
        let teacher = Teacher::load(spec, config, settings, begin.map(|c| c.state.clock))?;
        let rows: Vec<&DataRow> = splits.train.iter().chain(&splits.valid).collect();
        bytes = teacher.bytes(&rows)?;
        Machine::new().check(bytes)?;
        let step = begin.map_or(0, |c| c.state.step);
        for group in rows[answers.len()..].chunks(GROUP) {
            let (what, done) = ("answers of the teacher".to_owned(), answers.len() as u64);
            log.append(&Event::Progress { step, what, done, of: of as u64 })?;
            let Some(new) = teacher.answer(group, &|| control.stopping(run_dir))? else {
                return Ok(Asked::Stopped);
            };
            let text = lines(&new)?;
            file.write_all(&text).and_then(|()| file.sync_data()).map_err(|e| EngineError::io(&e, &path))?;
            answers.extend(new);
        }
    }
    splits
        .train
        .iter_mut()
        .chain(&mut splits.valid)
        .zip(&answers)
        .for_each(|(row, answer)| take(row, answer));
    Ok(Asked::All(splits, bytes))
}

/// The rows with the teacher's answers, where all of them are there; `None` where the run has no teacher that answers.
///
/// # Errors
/// User errors of rows and teacher; `no_answers` when answers are missing.
pub fn answered(spec: &RunSpec, run_dir: &Path) -> Result<Option<Splits>, EngineError> {
    let Some((config, settings)) = wanted(spec) else { return Ok(None) };
    let mut splits = Splits::read(spec, Rows::Questions)?;
    let path = run_dir.join(FILE);
    let answers = read(&path, &head(spec, config, settings, &splits)?, &splits);
    if answers.len() < splits.train.len() + splits.valid.len() {
        return Err(EngineError::user(
            "no_answers",
            "The teacher's answers are not all there, or belong to other questions or another teacher.",
            "Put the run's teacher_answers.jsonl back, or start the run again.",
        )
        .with_file(&path));
    }
    splits.train.iter_mut().chain(&mut splits.valid).zip(&answers).for_each(|(row, a)| take(row, a));
    Ok(Some(splits))
}

/// For a preflight: rows with answers like those that the teacher gives to the first prompts, and what all of them will take.
///
/// # Errors
/// As [`ensure`].
pub fn foresee(spec: &RunSpec) -> Result<(Option<Splits>, Answering), EngineError> {
    let Some((config, settings)) = wanted(spec) else { return Ok((None, Answering::default())) };
    let mut splits = Splits::read(spec, Rows::Questions)?;
    let teacher = Teacher::load(spec, config, settings, None)?;
    let rows: Vec<&DataRow> = splits.train.iter().chain(&splits.valid).collect();
    let bytes = teacher.bytes(&rows)?;
    let first = &rows[..rows.len().min(WIDTH)];
    if first.is_empty() {
        return Ok((Some(splits), Answering { seconds: 0.0, bytes }));
    }
    Machine::new().check(bytes)?;
    let begun = Instant::now();
    let answers = teacher.answer(first, &|| false)?.unwrap_or_default();
    let seconds = begun.elapsed().as_secs_f64() * rows.len() as f64 / first.len() as f64;
    let all = splits.train.iter_mut().chain(&mut splits.valid);
    all.zip(answers.iter().cycle()).for_each(|(row, answer)| take(row, answer));
    Ok((Some(splits), Answering { seconds, bytes }))
}

/// The teacher that answers, where the run has one.
pub fn wanted(spec: &RunSpec) -> Option<(&DistillConfig, &SequenceConfig)> {
    let config = spec.distill.as_ref()?;
    Some((config, config.sequence.as_ref()?))
}

/// The row learns the answer; one that did not come to an end has none to teach.
fn take(row: &mut DataRow, answer: &TeacherAnswer) {
    if let Some(RowText::PromptCompletion { completion, .. }) = row.texts.first_mut() {
        completion.clone_from(&answer.text);
    }
    row.open = !answer.ended;
}

fn prompt(row: &DataRow) -> &str {
    match row.texts.first() {
        Some(RowText::PromptCompletion { prompt, .. }) => prompt,
        _ => "",
    }
}

fn head(
    spec: &RunSpec,
    config: &DistillConfig,
    settings: &SequenceConfig,
    splits: &Splits,
) -> Result<Head, EngineError> {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    };
    add(&tillage_generate::model_hash(&config.teacher)?);
    add(&config.adapter.as_deref().map_or(Ok(String::new()), tillage_generate::adapter_hash)?);
    add(spec.dtype.name());
    add(&serde_json::json!([settings, spec.template, spec.train.seed]).to_string());
    for row in splits.train.iter().chain(&splits.valid) {
        add(&row.id);
        add(prompt(row));
    }
    let (train, valid) = (splits.train.len(), splits.valid.len());
    let name = config.teacher.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Head { of: hex(&digest.finalize()), teacher: name, train, valid })
}

/// The answers that are there, if they belong to these questions; a torn last line is none.
fn read(path: &Path, head: &Head, splits: &Splits) -> Vec<TeacherAnswer> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    if lines.next().and_then(|line| serde_json::from_str::<Head>(line).ok()).as_ref() != Some(head) {
        return Vec::new();
    }
    let answers = lines.map_while(|line| serde_json::from_str::<TeacherAnswer>(line).ok());
    let rows = splits.train.iter().chain(&splits.valid);
    answers.zip(rows).take_while(|(answer, row)| answer.row_id == row.id).map(|(answer, _)| answer).collect()
}

/// Replaces the file by what is kept of it, open for more.
fn rewrite(path: &Path, head: &Head, answers: &[TeacherAnswer]) -> Result<std::fs::File, EngineError> {
    let mut text = lines(std::slice::from_ref(head))?;
    text.extend(lines(answers)?);
    crate::files::write_atomic(path, |out| out.write_all(&text).map_err(|e| EngineError::io(&e, path)))?;
    std::fs::File::options().append(true).open(path).map_err(|e| EngineError::io(&e, path))
}

fn lines<T: Serialize>(all: &[T]) -> Result<Vec<u8>, EngineError> {
    let mut text = Vec::new();
    for one in all {
        serde_json::to_writer(&mut text, one).map_err(|e| EngineError::internal("answers", e.to_string()))?;
        text.push(b'\n');
    }
    Ok(text)
}

impl<'a> Teacher<'a> {
    fn load(
        spec: &RunSpec,
        config: &DistillConfig,
        settings: &'a SequenceConfig,
        clock: Option<chrono::NaiveDateTime>,
    ) -> Result<Self, EngineError> {
        setup::check_weights(&ModelConfig::from_dir(&config.teacher)?, None, spec.dtype)?;
        let model = tillage_generate::load(&config.teacher, config.adapter.as_deref(), spec.dtype)?;
        let clock = clock.map_or_else(Clock::freeze, Clock::Fixed);
        let context = model.config().max_position_embeddings;
        // Its own tokenizer: the answers reach the student as text.
        let tokenizer = Tokenizer::load(&config.teacher)?;
        let encoder = RowEncoder::new(tokenizer, spec.template.clone(), LossOn::Completion, context, clock)?;
        Ok(Self { model, encoder, settings, seed: spec.train.seed })
    }

    /// Bytes that the process takes while it answers.
    fn bytes(&self, rows: &[&DataRow]) -> Result<u64, EngineError> {
        let mut longest = 0;
        for row in rows {
            longest = self.encoder.prompt(prompt(row))?.len().max(longest);
        }
        let caches = WIDTH * self.model.cache_bytes(longest + self.settings.max_new);
        Ok((self.model.plan_scoring_bytes(longest.max(WIDTH)) + caches + setup::PROCESS_BYTES) as u64)
    }

    /// Answers of some rows' prompts; `None` when it was asked to stop.
    fn answer(
        &self,
        rows: &[&DataRow],
        stopping: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<TeacherAnswer>>, EngineError> {
        let tokenizer = self.encoder.tokenizer();
        let prompts: Vec<Vec<u32>> =
            rows.iter().map(|row| self.encoder.prompt(prompt(row))).collect::<Result<_, _>>()?;
        let jobs: Vec<Job> =
            rows.iter().zip(&prompts).map(|(row, tokens)| Job { tokens, id: &row.id, mix: None }).collect();
        let SequenceConfig { max_new, temperature } = *self.settings;
        let sampling = Sampling { max_new, temperature, seed: self.seed };
        let mut stopped = stopping();
        if stopped {
            return Ok(None);
        }
        let stops = tokenizer.stop_ids();
        let sampled = generate_all(&self.model, &jobs, &stops, &sampling, WIDTH, &mut |_, _| {
            stopped |= stopping();
            if stopped {
                Flow::EndAll
            } else {
                Flow::Go
            }
        })?;
        if stopped {
            return Ok(None);
        }
        let answer = |(row, sampled): (&&DataRow, tillage_generate::Sampled)| {
            Ok(TeacherAnswer {
                row_id: row.id.clone(),
                prompt: prompt(row).to_owned(),
                text: tokenizer.decode(&sampled.tokens, true)?,
                tokens: sampled.tokens.len(),
                ended: sampled.ended,
            })
        };
        rows.iter().zip(sampled).map(answer).collect::<Result<_, _>>().map(Some)
    }
}

#[cfg(test)]
mod tests;

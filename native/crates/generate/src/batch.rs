//! Several sequences at once: each step reads the weights once for all of them, and a sequence that ends makes room for the
//! next one.

use crate::sample::{choose, rng, Sampled, Sampling};
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;
use std::time::Instant;
use tillage_model::{KvCache, Mix, Model};
use tillage_protocol::EngineError;

/// Sequences that are generated together where nobody says otherwise.
pub const WIDTH: usize = 8;

/// A tokenised prompt.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Ids of the prompt, at least one, below the model's vocabulary.
    pub tokens: &'a [u32],
    /// Decides the draws, with the seed.
    pub id: &'a str,
    /// Which of the model's held adapters answer; `None` is the model's own adapter, and the base alone where another job has a
    /// mixture.
    pub mix: Option<&'a Mix>,
}

/// What whoever sees a token says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Go,
    /// This answer is long enough.
    EndAnswer,
    /// No answer is wanted any more.
    EndAll,
}

/// A sequence at work.
struct Active {
    job: usize,
    rng: ChaCha8Rng,
    room: usize,
    begun: Instant,
    out: Sampled,
}

/// Generates from tokenised prompts, up to `width` at once, in the order of the jobs. `on_token` sees each token with its
/// job's place, and may end that answer or all of them; what was not begun is empty then.
///
/// The draws of a prompt depend on the seed and its id alone, not on the prompts around it.
///
/// # Errors
/// `empty_prompt`, `prompt_too_long`, `vocab_mismatch` (user) before anything is generated; `bad_logits` when the model gives
/// no numbers.
pub fn generate_all(
    model: &Model,
    jobs: &[Job],
    stops: &[u32],
    sampling: &Sampling,
    width: usize,
    on_token: &mut dyn FnMut(usize, u32) -> Flow,
) -> Result<Vec<Sampled>, EngineError> {
    let base = Mix::default();
    let mixed = jobs.iter().any(|job| job.mix.is_some());
    let mix = |job: usize| if mixed { Some(jobs[job].mix.unwrap_or(&base)) } else { None };
    // What stands before each text: a tuned prompt.
    let texts: Vec<Cow<[u32]>> = (0..jobs.len())
        .map(|job| match model.prefix(mix(job)) {
            prefix if prefix.is_empty() => jobs[job].tokens.into(),
            prefix => [&prefix, jobs[job].tokens].concat().into(),
        })
        .collect();
    jobs.iter().zip(&texts).try_for_each(|(job, text)| check(model, job, text.len()))?;
    let context = model.config().max_position_embeddings;
    let mut done: Vec<Sampled> = vec![Sampled::default(); jobs.len()];
    let (mut active, mut caches): (Vec<Active>, Vec<KvCache>) = (Vec::new(), Vec::new());
    let mut waiting = 0..jobs.len();
    let mut over = false;
    let mut step = |one: &mut Active, logits: &[f32], over: &mut bool| -> Result<bool, EngineError> {
        if one.room == 0 {
            return Ok(false);
        }
        let (token, logprob) = choose(logits, sampling.temperature, &mut one.rng)?;
        if stops.contains(&token) {
            one.out.ended = true;
            one.out.stop = Some(token);
            return Ok(false);
        }
        one.out.tokens.push(token);
        one.out.logprobs.push(logprob);
        let flow = on_token(one.job, token);
        *over |= flow == Flow::EndAll;
        Ok(flow == Flow::Go && one.out.tokens.len() < one.room)
    };
    loop {
        while !over && active.len() < width.max(1) {
            let Some(job) = waiting.next() else { break };
            let (tokens, id) = (&texts[job], jobs[job].id);
            let room = sampling.max_new.min(context - tokens.len());
            let rng = rng(sampling.seed, id);
            let mut one = Active { job, rng, room, begun: Instant::now(), out: Sampled::default() };
            let mut cache = model.new_cache(tokens.len() + room);
            let alone = mix(job).map(|mix| [mix]);
            let logits = model.decode_mixed(
                &[tokens],
                std::slice::from_mut(&mut cache),
                alone.as_ref().map(|m| &m[..]),
            );
            if step(&mut one, &logits, &mut over)? {
                active.push(one);
                caches.push(cache);
            } else {
                finish(one, &mut done);
            }
        }
        if over || active.is_empty() {
            active.into_iter().for_each(|one| finish(one, &mut done));
            return Ok(done);
        }
        let last: Vec<[u32; 1]> = active.iter().map(|one| [*one.out.tokens.last().unwrap_or(&0)]).collect();
        let tokens: Vec<&[u32]> = last.iter().map(|t| &t[..]).collect();
        let mixes: Option<Vec<&Mix>> = active.iter().map(|one| mix(one.job)).collect();
        let logits = model.decode_mixed(&tokens, &mut caches, mixes.as_deref());
        let vocab = model.config().vocab_size;
        // From the end, so that what is taken out does not move what is still to be looked at.
        for at in (0..active.len()).rev() {
            if !step(&mut active[at], &logits[at * vocab..(at + 1) * vocab], &mut over)? {
                finish(active.remove(at), &mut done);
                caches.remove(at);
            }
        }
    }
}

fn finish(one: Active, done: &mut [Sampled]) {
    let Active { job, begun, mut out, .. } = one;
    out.seconds = begun.elapsed().as_secs_f64();
    done[job] = out;
}

/// `length` is that of the tokens with what stands before them.
pub(crate) fn check(model: &Model, job: &Job, length: usize) -> Result<(), EngineError> {
    let Job { tokens, id, .. } = job;
    let context = model.config().max_position_embeddings;
    if tokens.is_empty() {
        return Err(EngineError::user(
            "empty_prompt",
            format!("The prompt {id:?} is empty."),
            "Give the model at least one word.",
        ));
    }
    if length >= context {
        return Err(EngineError::user(
            "prompt_too_long",
            format!("The prompt {id:?} has {length} tokens; the model's context is {context}."),
            "Shorten the prompt, or use a model with a longer context.",
        ));
    }
    let vocab = model.config().vocab_size;
    if let Some(bad) = tokens.iter().find(|t| **t as usize >= vocab) {
        return Err(EngineError::user(
            "vocab_mismatch",
            format!("The tokenizer gives token {bad}, but the model knows only {vocab}."),
            "Use the tokenizer that belongs to the model.",
        ));
    }
    Ok(())
}

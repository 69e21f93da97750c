//! What each method does.

use super::cache::{self, Models};
use super::Cancel;
use crate::{adapters, inspect, tokens};
use lsp_server::{Request, RequestId};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::Ordering;
use tillage_generate::{Flow, Sampling};
use tillage_protocol::rpc::{
    GenerateParams, GenerateResult, InitializeParams, InitializeResult, InspectParams, TokenNotification,
    TokensParams, PROTOCOL_VERSION,
};
use tillage_protocol::run::{LossOn, Objective, WatchPrompt};
use tillage_protocol::{EngineError, RunSpec};
use tillage_text::{Clock, RowEncoder};

/// The computing side of the server, with the models that it keeps loaded.
pub struct Handlers<N> {
    pub(super) notify: N,
    pub(super) models: Models,
}

/// The answer to a request that was taken back.
pub fn cancelled() -> EngineError {
    EngineError::user("cancelled", "The request was cancelled.", "Ask again if the answer is still wanted.")
}

impl<N: Fn(&str, Value)> Handlers<N> {
    /// No model is loaded yet; `notify` sends a method with its parameters.
    pub fn new(notify: N) -> Self {
        Self { notify, models: Models::default() }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// `unknown_method`, `bad_params`, `cancelled`, and the method's own.
    pub fn handle(&mut self, request: &Request, cancel: &Cancel) -> Result<Value, EngineError> {
        let params = &request.params;
        match request.method.as_str() {
            "initialize" => result(&initialize(&parse(params)?)?),
            "generate" => result(&self.generate(&request.id, &parse(params)?, cancel)?),
            "attribute" => result(&self.attribute(&request.id, &parse(params)?, cancel)?),
            "export" => result(&self.export(&request.id, &parse(params)?, cancel)?),
            "score" => result(&self.score(&request.id, &parse(params)?, cancel)?),
            "tokens" => result(&tokens::tokenise(&parse::<TokensParams>(params)?)?),
            "inspect" => result(&inspect::inspect(&parse::<InspectParams>(params)?.model)?),
            "preflight" => result(&tillage_train::preflight(&parse::<RunSpec>(params)?, Path::new(""))?),
            "shutdown" => Ok(Value::Null),
            other => Err(EngineError::internal("unknown_method", format!("There is no method {other:?}."))),
        }
    }

    fn generate(
        &mut self,
        id: &RequestId,
        params: &GenerateParams,
        cancel: &Cancel,
    ) -> Result<GenerateResult, EngineError> {
        let number = number(id)?;
        let given = adapters::given(&params.model)?;
        let loaded = self.models.get(&params.model, &given)?;
        let mixes = adapters::mixes(&loaded.model, &given, |a| cache::key(&a.path), &params.prompts)?;
        let context = loaded.model.config().max_position_embeddings;
        let tokenizer = std::sync::Arc::clone(&loaded.tokenizer);
        let encoder =
            RowEncoder::new(tokenizer, params.template.clone(), LossOn::All, context, Clock::System)?;
        let sampling =
            Sampling { max_new: params.max_new, temperature: params.temperature, seed: params.seed };
        let asked = params.prompts.iter();
        let prompts: Vec<WatchPrompt> =
            asked.map(|p| WatchPrompt { id: p.id.clone(), prompt: p.prompt.clone() }).collect();
        let mut on_text = |at: usize, text: &str| {
            if !text.is_empty() {
                let note =
                    TokenNotification { request: number, id: prompts[at].id.clone(), text: text.into() };
                (self.notify)("generate/token", serde_json::to_value(note).unwrap_or_default());
            }
            if cancel.load(Ordering::SeqCst) {
                Flow::EndAll
            } else {
                Flow::Go
            }
        };
        if cancel.load(Ordering::SeqCst) {
            return Err(cancelled());
        }
        let generations = tillage_generate::answers_mixed(
            &loaded.model,
            &encoder,
            &prompts,
            Some(&mixes),
            &sampling,
            tillage_generate::WIDTH,
            &mut on_text,
        )?;
        if cancel.load(Ordering::SeqCst) {
            return Err(cancelled());
        }
        Ok(GenerateResult {
            generations,
            model_hash: loaded.model_hash.clone(),
            adapter_hash: adapters::hash_of(&given, |path| loaded.adapter_hash(path))?,
        })
    }
}

/// Sends a notification on the way to an answer; says whether the answer is still wanted.
pub(super) fn tell(
    notify: &impl Fn(&str, Value),
    method: &str,
    note: &impl Serialize,
    cancel: &Cancel,
) -> bool {
    notify(method, serde_json::to_value(note).unwrap_or_default());
    !cancel.load(Ordering::SeqCst)
}

/// A request's id for its notifications: the protocol's ids are whole numbers.
pub(super) fn number(id: &RequestId) -> Result<i32, EngineError> {
    id.to_string().parse().map_err(|_| {
        EngineError::internal("bad_params", format!("The request id {id} is not a whole number of 32 bits."))
    })
}

fn initialize(params: &InitializeParams) -> Result<InitializeResult, EngineError> {
    if params.protocol != PROTOCOL_VERSION {
        return Err(EngineError::internal(
            "protocol_version",
            format!("The client speaks protocol {}, the engine {PROTOCOL_VERSION}.", params.protocol),
        ));
    }
    Ok(InitializeResult {
        protocol: PROTOCOL_VERSION,
        engine: env!("CARGO_PKG_VERSION").into(),
        devices: inspect::device_names(),
        dtypes: inspect::dtype_names(),
        families: tillage_model::family::supported().into_iter().map(str::to_owned).collect(),
        objectives: Objective::ALL.to_vec(),
    })
}

fn parse<T: DeserializeOwned>(params: &Value) -> Result<T, EngineError> {
    serde_json::from_value(params.clone()).map_err(|e| {
        EngineError::internal("bad_params", format!("The request's parameters do not fit: {e}."))
    })
}

fn result(value: &impl Serialize) -> Result<Value, EngineError> {
    serde_json::to_value(value).map_err(|e| EngineError::internal("json", e.to_string()))
}

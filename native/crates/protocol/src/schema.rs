//! The contract as one JSON Schema document.

use schemars::{schema_for, JsonSchema};

/// Every type that crosses the boundary, by name.
#[derive(JsonSchema)]
#[allow(dead_code)]
struct NativeProtocol {
    run_spec: crate::RunSpec,
    event: crate::Event,
    error: crate::EngineError,
    rollout: crate::evidence::Rollout,
    teacher_answer: crate::evidence::TeacherAnswer,
    initialize_params: crate::rpc::InitializeParams,
    initialize_result: crate::rpc::InitializeResult,
    generate_params: crate::rpc::GenerateParams,
    generate_result: crate::rpc::GenerateResult,
    token_notification: crate::rpc::TokenNotification,
    tokens_params: crate::rpc::TokensParams,
    tokens_result: crate::rpc::TokensResult,
    inspect_params: crate::rpc::InspectParams,
    inspect_result: crate::rpc::InspectResult,
    preflight_result: crate::rpc::PreflightResult,
    export_params: crate::export::ExportParams,
    export_result: crate::export::ExportResult,
    export_notification: crate::export::ExportNotification,
    score_params: crate::score::ScoreParams,
    score_result: crate::score::ScoreResult,
    score_notification: crate::score::ScoreNotification,
    bench_result: crate::bench::BenchResult,
    bench_progress: crate::bench::BenchProgress,
    attribute_params: crate::attribute::AttributeParams,
    attribute_result: crate::attribute::AttributeResult,
    attribute_notification: crate::attribute::AttributeNotification,
}

/// The schema of all of it, pretty-printed.
pub fn all() -> String {
    let schema = schema_for!(NativeProtocol);
    serde_json::to_string_pretty(&schema).expect("a schema is always serialisable")
}

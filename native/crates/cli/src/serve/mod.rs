//! `serve`: JSON-RPC 2.0 with Content-Length framing on stdio.
//!
//! One thread reads, one computes, one answers what is quick and need not wait. Every request gets exactly one answer: a result, an error, or the cancellation that was asked for.

mod attribute;
mod cache;
mod export;
mod handlers;
mod score;

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response, ResponseError};
use serde_json::Value;
use std::collections::HashMap;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use tillage_protocol::{frames, guard, EngineError};

/// Raised when the client takes a request back.
pub type Cancel = Arc<AtomicBool>;

/// Methods that need no model in memory.
const QUICK: [&str; 3] = ["initialize", "tokens", "inspect"];

/// Requests that have no answer yet.
type Open = Arc<Mutex<HashMap<RequestId, Cancel>>>;

/// Serves until `shutdown` and `exit`, or until stdin ends.
///
/// # Errors
/// `bad_message` when what comes in is no message, so that nobody waits for an answer to it.
pub fn serve() -> Result<(), EngineError> {
    let (out, answers) = mpsc::channel::<Message>();
    let writer = std::thread::spawn(move || {
        let mut stdout = std::io::stdout().lock();
        // A client that went away reads no answer; its end of stdin ends the server.
        for message in answers {
            if message.write(&mut stdout).is_err() {
                break;
            }
        }
    });
    let open = Open::default();
    let send = move |message: Message| drop(out.send(message));
    let slow = Worker::start("compute", send.clone(), &open)?;
    let quick = Worker::start("quick", send.clone(), &open)?;
    let ended = listen(&mut std::io::stdin().lock(), &open, &send, [&slow, &quick]);
    lock(&open).values().for_each(|c| c.store(true, Ordering::SeqCst));
    slow.finish();
    quick.finish();
    drop(send);
    let _ = writer.join();
    ended
}

/// Hands requests to the workers until `exit` or the end of the stream.
fn listen(
    from: &mut impl BufRead,
    open: &Open,
    send: &impl Fn(Message),
    [slow, quick]: [&Worker; 2],
) -> Result<(), EngineError> {
    let bad = |why: String| {
        EngineError::user(
            "bad_message",
            format!("A message could not be read: {why}."),
            "Send JSON-RPC with Content-Length framing.",
        )
    };
    while let Some(text) = frames::read(from).map_err(|e| bad(e.to_string()))? {
        let message = match serde_json::from_slice(&text) {
            Ok(message) => message,
            Err(e) => match id_of(&text) {
                // Whoever asked learns of it, and the next message may be a good one.
                Some(id) => {
                    send(no_request(id, &e.to_string()));
                    continue;
                }
                None => return Err(bad(e.to_string())),
            },
        };
        match message {
            Message::Request(request) => {
                let cancel = Cancel::default();
                lock(open).insert(request.id.clone(), Arc::clone(&cancel));
                if request.method == "shutdown" {
                    // What is going on is of no use any more; it still gets its answer.
                    lock(open).values().for_each(|c| c.store(true, Ordering::SeqCst));
                    cancel.store(false, Ordering::SeqCst);
                }
                let worker = if QUICK.contains(&request.method.as_str()) { quick } else { slow };
                if let Err(mpsc::SendError((request, _))) = worker.queue.send((request, cancel)) {
                    let lost = EngineError::internal("worker_lost", "The thread that computes is gone.");
                    send(Message::Response(respond(request.id, Err(lost))));
                }
            }
            // Nothing was asked, so this answers nothing: a request without its method.
            Message::Response(r) if r.result.is_none() && r.error.is_none() => {
                send(no_request(r.id, "it has no method"));
            }
            Message::Notification(n) if n.method == "$/cancelRequest" => {
                let id =
                    n.params.get("id").cloned().and_then(|id| serde_json::from_value::<RequestId>(id).ok());
                if let Some(cancel) = id.and_then(|id| lock(open).get(&id).cloned()) {
                    cancel.store(true, Ordering::SeqCst);
                }
            }
            Message::Notification(n) if n.method == "exit" => break,
            _ => {}
        }
    }
    Ok(())
}

fn no_request(id: RequestId, why: &str) -> Message {
    let error = EngineError::internal("bad_params", format!("The message is no request: {why}."));
    Message::Response(respond(id, Err(error)))
}

/// The id of JSON that is no message.
fn id_of(text: &[u8]) -> Option<RequestId> {
    let value: Value = serde_json::from_slice(text).ok()?;
    serde_json::from_value(value.get("id")?.clone()).ok()
}

/// A thread that answers requests one after the other.
struct Worker {
    queue: mpsc::Sender<(Request, Cancel)>,
    thread: std::thread::JoinHandle<()>,
}

impl Worker {
    fn start(
        name: &str,
        send: impl Fn(Message) + Clone + Send + 'static,
        open: &Open,
    ) -> Result<Self, EngineError> {
        let (queue, work) = mpsc::channel::<(Request, Cancel)>();
        let open = Arc::clone(open);
        let answer_all = move || {
            let notify = send.clone();
            let mut handlers = handlers::Handlers::new(move |method: &str, params: Value| {
                notify(Message::Notification(Notification { method: method.into(), params }));
            });
            for (request, cancel) in work {
                let id = request.id.clone();
                let result = if cancel.load(Ordering::SeqCst) {
                    Err(handlers::cancelled())
                } else {
                    guard::guarded(|| handlers.handle(&request, &cancel))
                };
                lock(&open).remove(&id);
                send(Message::Response(respond(id, result)));
            }
        };
        let builder = std::thread::Builder::new().name(name.into()).stack_size(16 << 20);
        let thread = builder
            .spawn(answer_all)
            .map_err(|e| EngineError::environment("threads", e.to_string(), "Close other programs."))?;
        Ok(Self { queue, thread })
    }

    /// Lets it answer what is left, and waits.
    fn finish(self) {
        drop(self.queue);
        let _ = self.thread.join();
    }
}

fn lock(open: &Open) -> std::sync::MutexGuard<'_, HashMap<RequestId, Cancel>> {
    open.lock().unwrap_or_else(|e| e.into_inner())
}

fn respond(id: RequestId, result: Result<Value, EngineError>) -> Response {
    match result {
        Ok(value) => Response { id, result: Some(value), error: None },
        Err(error) => {
            let code = match error.code.as_str() {
                "cancelled" => ErrorCode::RequestCanceled as i32,
                "unknown_method" => ErrorCode::MethodNotFound as i32,
                "bad_params" => ErrorCode::InvalidParams as i32,
                _ => ErrorCode::RequestFailed as i32,
            };
            let data = serde_json::to_value(&error).ok();
            Response { id, result: None, error: Some(ResponseError { code, message: error.message, data }) }
        }
    }
}

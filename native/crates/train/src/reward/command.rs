//! Asking a program of the user's what answers are worth.
//!
//! It is started as it is named, without a shell, when it is first asked, and kept until the run ends. For each answer it gets a
//! line `{"prompt": …, "answer": …, "reference": …}` on stdin and writes a line on stdout, in the same order: a number, or an
//! object with the number `reward`. It may read all lines of a batch before it answers. At the end of stdin it should end.

use super::Answer;
use serde_json::{json, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tillage_protocol::EngineError;

/// A line longer than this is no number.
const LINE: u64 = 64 * 1024;
/// What is kept of its last words.
const WORDS: usize = 400;

/// The program, running or not yet.
#[derive(Debug)]
pub struct Program {
    command: Vec<String>,
    cwd: PathBuf,
    timeout: Duration,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Lines to write; a thread does, so that a program that does not read cannot hold the run.
    questions: Sender<Vec<u8>>,
    lines: Receiver<String>,
    words: Arc<Mutex<String>>,
}

impl Program {
    /// A program, which is started when it is asked for the first time; `timeout` in seconds for the answers of a batch.
    pub fn new(command: &[String], cwd: &Path, timeout: f64) -> Self {
        let timeout = Duration::from_secs_f64(timeout);
        // No path is the folder that the process is in, as everywhere.
        let cwd = if cwd.as_os_str().is_empty() { Path::new(".") } else { cwd };
        Self { command: command.to_vec(), cwd: cwd.to_owned(), timeout, running: Mutex::new(None) }
    }

    /// What each answer is worth.
    ///
    /// # Errors
    /// `reward_command` when the program cannot be started, ends, answers what is no number, or takes too long; it is ended then.
    pub fn ask(&self, answers: &[Answer]) -> Result<Vec<f64>, EngineError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.converse(&mut running, answers);
        if result.is_err() {
            // Whatever it still says belongs to no answer any more.
            *running = None;
        }
        result
    }

    fn converse(&self, running: &mut Option<Running>, answers: &[Answer]) -> Result<Vec<f64>, EngineError> {
        let program = match running {
            Some(program) => program,
            None => running.insert(self.start()?),
        };
        let mut questions = Vec::new();
        for a in answers {
            let line = json!({"prompt": a.prompt, "answer": a.text, "reference": a.wanted});
            questions.extend_from_slice(line.to_string().as_bytes());
            questions.push(b'\n');
        }
        // Where nobody reads any more, the program has ended, which the answers will show.
        let _ = program.questions.send(questions);
        let until = Instant::now() + self.timeout;
        let mut all = Vec::with_capacity(answers.len());
        for i in 0..answers.len() {
            let left = until.saturating_duration_since(Instant::now());
            let line = match program.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = self.timeout.as_secs_f64();
                    return Err(self.error(&format!(
                        "has answered {i} of {} questions within {seconds} seconds",
                        answers.len()
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.error(&program.end())),
            };
            all.push(number(&line).ok_or_else(|| {
                let shown: String = line.chars().take(80).collect();
                self.error(&format!("has answered {shown:?}, which is neither a number nor an object with the number `reward`"))
            })?);
        }
        Ok(all)
    }

    fn start(&self) -> Result<Running, EngineError> {
        let name = self.command.first().map_or("", String::as_str);
        // A relative path counts from `cwd`; a bare name is looked for where the system looks.
        let path = Path::new(name);
        let path = if path.components().count() > 1 { self.cwd.join(path) } else { path.to_owned() };
        let mut child = Command::new(path)
            .args(self.command.get(1..).unwrap_or_default())
            .current_dir(&self.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| self.error(&format!("cannot be started: {e}")))?;
        let words = Arc::new(Mutex::new(String::new()));
        let (questions, asked) = channel::<Vec<u8>>();
        let (told, lines) = channel();
        if let Some(mut stdin) = child.stdin.take() {
            std::thread::spawn(move || {
                while let Ok(text) = asked.recv() {
                    if stdin.write_all(&text).and_then(|()| stdin.flush()).is_err() {
                        return;
                    }
                }
            });
        }
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut stdout = BufReader::new(stdout);
                let mut line = String::new();
                while matches!(stdout.by_ref().take(LINE).read_line(&mut line), Ok(n) if n > 0) {
                    if told.send(std::mem::take(&mut line)).is_err() {
                        return;
                    }
                }
            });
        }
        if let Some(stderr) = child.stderr.take() {
            let words = Arc::clone(&words);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line);
                    eprintln!("reward command: {line}");
                    let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
                    if !line.trim().is_empty() {
                        *words = line.chars().take(WORDS).collect();
                    }
                }
            });
        }
        Ok(Running { child, questions, lines, words })
    }

    fn error(&self, what: &str) -> EngineError {
        EngineError::user(
            "reward_command",
            format!("The reward command `{}` {what}.", self.command.join(" ")),
            "It gets a line of JSON on stdin for each answer and must write a line with a number for each, and flush it. Try it by hand; what it writes to stderr stands in engine.log.",
        )
    }
}

impl Running {
    /// How it ended, and its last words.
    fn end(&mut self) -> String {
        // Its stdout is closed; a moment later it is gone, or it is ended.
        let until = Instant::now() + Duration::from_secs(2);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                _ => break None,
            }
        };
        // The thread that reads its stderr may be a moment behind.
        std::thread::sleep(Duration::from_millis(50));
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let said = if words.is_empty() { String::new() } else { format!("; its last words: {words}") };
        match status {
            Some(status) => format!("ended with {status} before it had answered{said}"),
            None => format!("closed its output before it had answered{said}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of a line.
fn number(line: &str) -> Option<f64> {
    let value: Value = serde_json::from_str(line.trim()).ok()?;
    let number = if value.is_object() { value.get("reward")?.as_f64() } else { value.as_f64() };
    number.filter(|x| x.is_finite())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn program(script: &str, timeout: f64) -> Program {
        let command = ["sh", "-c", script].map(str::to_owned);
        Program::new(&command, &std::env::temp_dir(), timeout)
    }

    fn answer(text: &str) -> Answer<'_> {
        Answer { prompt: "p", text, wanted: "w", tokens: 1 }
    }

    #[test]
    fn it_is_kept_alive_and_answers_in_order() {
        // It numbers its lines, so that a second process would show.
        let program =
            program("n=0; while read -r line; do n=$((n+1)); echo \"{\\\"reward\\\": $n}\"; done", 10.0);
        assert_eq!(program.ask(&[answer("a"), answer("b")]).unwrap(), [1.0, 2.0]);
        assert_eq!(program.ask(&[answer("c")]).unwrap(), [3.0]);
        assert_eq!(program.ask(&[]).unwrap(), [0.0; 0]);
    }

    #[test]
    fn it_gets_prompt_answer_and_reference_as_they_are() {
        let text = "a \"quoted\"\nline; $(touch x) `y`";
        let wanted = json!({"prompt": "p", "answer": text, "reference": "w"}).to_string();
        let program = program(
            &format!("read -r line; if [ \"$line\" = '{wanted}' ]; then echo 1.5; else echo -1; fi"),
            10.0,
        );
        assert_eq!(program.ask(&[answer(text)]).unwrap(), [1.5]);
    }

    #[test]
    fn what_it_does_wrong_is_said() {
        let ask = |script: &str, timeout: f64| {
            let error = program(script, timeout).ask(&[answer("a"), answer("b")]).unwrap_err();
            assert_eq!(error.code, "reward_command");
            error.message
        };
        let said = ask("echo broken >&2; exit 3", 10.0);
        assert!(said.contains("3") && said.contains("broken"), "{said}");
        assert!(ask("echo 1; echo good", 10.0).contains("good"));
        assert!(ask("echo 1; echo null", 10.0).contains("null"));
        assert!(ask("echo 1; exec sleep 60", 0.3).contains("1 of 2"));
        let none = Program::new(&["./no-such-program".to_owned()], &std::env::temp_dir(), 1.0);
        assert!(none.ask(&[answer("a")]).unwrap_err().message.contains("cannot be started"));
    }

    #[test]
    fn a_program_that_failed_is_started_anew() {
        // Its second answer is rubbish, and there are more behind it that would belong to nobody.
        let program = program("read -r a; echo 1; echo rubbish; echo 7; echo 8; exec sleep 60", 10.0);
        assert!(program.ask(&[answer("a"), answer("b")]).is_err());
        assert_eq!(program.ask(&[answer("c")]).unwrap(), [1.0]);
    }

    #[test]
    fn a_program_that_does_not_read_cannot_hold_the_run() {
        let long = "x".repeat(1 << 20);
        let begun = Instant::now();
        assert!(program("exec sleep 60", 0.3).ask(&[answer(&long)]).is_err());
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

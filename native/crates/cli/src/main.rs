//! `tillage-native`: the engine on the command line and as a server on stdio.

mod adapters;
mod args;
mod ask;
mod attributing;
mod benching;
mod exporting;
mod inspect;
mod parity;
mod report;
mod scoring;
mod serve;
mod tokens;
mod training;
mod watched;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;
use tillage_kernels::aligned::Aligned;
use tillage_protocol::{guard, EngineError};

#[global_allocator]
static MEMORY: Aligned = Aligned;

fn main() -> ExitCode {
    guard::install_hook();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if !e.use_stderr() => {
            // Help and version are answers, not errors.
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            let json = std::env::args().any(|a| a == "--json");
            let error = EngineError::user(
                "bad_arguments",
                e.to_string().trim().trim_start_matches("error: ").to_owned(),
                "Run `tillage-native --help` to see the commands.",
            );
            return report::fail(&error, json);
        }
    };
    let json = cli.json;
    match guard::guarded(|| run(cli)) {
        Ok(code) => code,
        Err(error) => report::fail(&error, json),
    }
}

fn run(cli: Cli) -> Result<ExitCode, EngineError> {
    match cli.command {
        Command::Train(args) => training::train(&args, cli.threads, cli.json)?,
        Command::Preflight { run_dir } => training::preflight(&run_dir, cli.threads, cli.json)?,
        Command::Generate(args) => {
            training::set_threads(cli.threads, 0)?;
            ask::generate(&args, cli.json)?;
        }
        Command::Export(args) => {
            training::set_threads(cli.threads, 0)?;
            exporting::export(&args, cli.json)?;
        }
        Command::Score(args) => {
            training::set_threads(cli.threads, 0)?;
            scoring::score(&args, cli.json)?;
        }
        Command::Attribute(args) => {
            training::set_threads(cli.threads, 0)?;
            attributing::attribute(&args, cli.json)?;
        }
        Command::Bench(args) => {
            training::set_threads(cli.threads, 0)?;
            benching::bench(&args, cli.json)?;
        }
        Command::Tokens(args) => tokens::print(&args, cli.json)?,
        Command::Inspect { model } => inspect::print(&model, cli.json)?,
        Command::Parity(args) => {
            training::set_threads(cli.threads, 0)?;
            return Ok(if parity::run(args)? { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Devices => inspect::devices(cli.json)?,
        Command::Schema => report::line(&tillage_protocol::schema::all())?,
        Command::Serve => {
            training::set_threads(cli.threads, 0)?;
            serve::serve()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `train` and `preflight`.

use crate::args::TrainArgs;
use crate::{report, watched};
use std::io::Read;
use std::path::Path;
use tillage_protocol::EngineError;
use tillage_train::{preflight as measure, spec, Control, Ended, Options};

/// Sets the number of threads of the whole process: the command line's, else the run's, else the machine's.
pub fn set_threads(argument: Option<usize>, run: usize) -> Result<usize, EngineError> {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = match argument.unwrap_or(run) {
        0 => cores(),
        n => n,
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| EngineError::internal("threads", e.to_string()))?;
    Ok(threads)
}

pub fn train(args: &TrainArgs, threads: Option<usize>, json: bool) -> Result<(), EngineError> {
    // A broken run.json is reported by the run itself, which also writes it into the events.
    let wanted = spec::load(&args.run_dir).map_or(0, |s| s.threads);
    let threads = set_threads(threads, wanted)?;
    let control = Control::default();
    let on_signal = control.clone();
    watched::on_signal(move || on_signal.stop())?;
    if args.attached {
        let on_end = control.clone();
        std::thread::spawn(move || {
            let mut sink = [0u8; 256];
            while std::io::stdin().read(&mut sink).is_ok_and(|n| n > 0) {}
            on_end.stop();
        });
    }
    let options = Options { control, threads, mirror: json };
    let ended = tillage_train::train(&args.run_dir, &options)?;
    if !json {
        report::line(match ended {
            Ended::Completed => "The run is complete.",
            Ended::Stopped => "The run was stopped; start it again to go on from its checkpoint.",
            Ended::AlreadyComplete => "The run was complete already.",
        })?;
    }
    Ok(())
}

pub fn preflight(run_dir: &Path, threads: Option<usize>, json: bool) -> Result<(), EngineError> {
    let spec = spec::load(run_dir)?;
    set_threads(threads, spec.threads)?;
    // The paths are resolved already.
    let r = measure(&spec, Path::new(""))?;
    if json {
        return report::object(&r);
    }
    let mb = |bytes: u64| bytes.div_ceil(1 << 20);
    report::line(&format!(
        "{} parameters, {} trained\n{} rows, {} tokens, {} steps\n{} rows cut by {} tokens, {} rows without a label\n\
         {} MB planned{}, {} MB free\n{:.2} s a step, {:.0} s in all",
        r.parameters,
        r.trainable,
        r.train_rows,
        r.train_tokens,
        r.total_steps,
        r.long_rows,
        r.cut_tokens,
        r.masked_rows,
        mb(r.planned_bytes),
        if r.recompute { " with activations computed again" } else { "" },
        mb(r.free_bytes),
        r.seconds_per_step,
        r.seconds_total
    ))
}

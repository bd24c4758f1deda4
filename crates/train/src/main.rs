//! `sweep-train`: the worker.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::{Parser, ValueEnum};
use rustix::stdio::dup2_stdout;
use serde::Serialize;
use spec::protocol;
use tracing::error;
use train::{allocator, device, loaded, worker};

/// Trains the runs that `sweep` orders: JSON lines come in on stdin and go out on stdout.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to compute. A GPU that is not there is an error; of several, CUDA_VISIBLE_DEVICES chooses.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceKind,
    /// Threads for libtorch and for decoding images; by default one for each core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Say in one JSON line what there is, and end.
    #[arg(long)]
    probe: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DeviceKind {
    Cpu,
    Cuda,
}

/// The answer to `--probe`.
#[derive(Debug, Serialize)]
struct Probe {
    version: &'static str,
    protocol: u32,
    /// The libtorch that this was built for; torch-sys accepts no other.
    libtorch: &'static str,
    cuda_devices: usize,
    /// Files of the libraries that it is linked to or has opened, libtorch's and the system's.
    libraries: Vec<PathBuf>,
}

/// What tch 0.24 is made for, <https://docs.rs/crate/torch-sys/0.24.0>.
const LIBTORCH: &str = "2.11.0";

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut cause = failure.source();
            error!("{failure}");
            while let Some(error) = cause {
                error!("  because {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    // Stdout carries the protocol alone: what libraries print there goes to the log.
    let mut events = File::from(rustix::io::dup(rustix::stdio::stdout())?);
    dup2_stdout(rustix::stdio::stderr())?;

    if arguments.probe {
        // No CUDA part means no CUDA devices: that is the answer, not an error.
        let _ = device::load_cuda();
        let probe = Probe {
            version: env!("CARGO_PKG_VERSION"),
            protocol: protocol::VERSION,
            libtorch: LIBTORCH,
            cuda_devices: device::cuda_devices(),
            libraries: loaded::libraries()?,
        };
        return Ok(writeln!(events, "{}", serde_json::to_string(&probe)?)?);
    }
    let threads = match arguments.threads {
        Some(threads) => threads.into(),
        None => thread::available_parallelism()?.get(),
    };
    let device = match arguments.device {
        DeviceKind::Cpu => {
            allocator::keep_memory();
            device::set_threads(threads)?;
            tch::Device::Cpu
        }
        DeviceKind::Cuda => {
            device::load_cuda()?;
            device::set_threads(threads)?;
            device::cuda()?
        }
    };
    let orders = BufReader::new(io::stdin());
    Ok(worker::work(orders, events, device, device::describe(device, threads))?)
}

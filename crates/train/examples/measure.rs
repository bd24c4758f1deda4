//! Times the inner pieces, for `scripts/bench`: one JSON line for each repetition.
//!
//! Weights are drawn and images are noise: neither changes how long the arithmetic takes.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use spec::config::{self, Freeze, Interpolation, Pooling, Precision};
use tch::{Device, Kind, Tensor};
use train::backbones::Backbone;
use train::data::{DecodeError, Folder, Square, decode_all};
use train::features::{Encoder, Prefix, pool};
use train::graph::{Graph, Mode, Plan, Role};
use train::head::Design;
use train::loss::Loss;
use train::model::{Model, Start};
use train::random::{Purpose, Source, normal, stream};
use train::weights::Weights;
use train::{allocator, device};

type Failure = Box<dyn Error>;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    piece: Piece,
    /// Repetitions, after one that warms up.
    #[arg(long, default_value_t = 3, global = true)]
    repetitions: u32,
    #[arg(long, default_value_t = 2, global = true)]
    threads: usize,
}

#[derive(Debug, Subcommand)]
enum Piece {
    /// A frozen backbone on images that are in memory.
    Pass(Pass),
    /// Training steps of a backbone's last ten layers on their input, which is in memory.
    Suffix {
        /// As in a sweep file.
        #[arg(value_parser = backbone)]
        backbone: config::Backbone,
        /// Images of a batch.
        #[arg(long, default_value_t = 32)]
        batch: i64,
        /// Steps of a repetition.
        #[arg(long, default_value_t = 5)]
        steps: u64,
    },
    /// From files to squares in memory.
    Decode {
        /// Of images, or of class folders.
        folder: PathBuf,
        /// Of the squares.
        #[arg(long, default_value_t = 224)]
        side: u32,
    },
    /// Times nothing: writes drawn weights that sweep files can name.
    Draw {
        #[arg(value_parser = backbone)]
        backbone: config::Backbone,
        /// A safetensors file.
        to: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Pass {
    /// As in a sweep file.
    #[arg(value_parser = backbone)]
    backbone: config::Backbone,
    /// Side of the images.
    #[arg(long, default_value_t = 224)]
    side: i64,
    /// fp32 or bf16.
    #[arg(long, default_value = "fp32")]
    precision: String,
    /// Images that pass together.
    #[arg(long, default_value_t = 32)]
    batch: i64,
    /// Layer by layer, nothing folded or fused.
    #[arg(long)]
    plain: bool,
}

fn backbone(name: &str) -> Result<config::Backbone, String> {
    serde_json::from_value(name.into()).map_err(|error| error.to_string())
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    allocator::keep_memory();
    device::set_threads(arguments.threads)?;
    let repetitions = arguments.repetitions;
    match &arguments.piece {
        Piece::Pass(pass) => time_pass(pass, repetitions),
        Piece::Suffix { backbone, batch, steps } => {
            time_suffix(&Backbone::of(*backbone), *batch, *steps, repetitions)
        }
        Piece::Decode { folder, side } => {
            let square = Square { side: *side, interpolation: Interpolation::default() };
            let folder =
                Folder::with_classes(folder).or_else(|_| Folder::labelled_or_not(folder, &[]))?;
            repeat(repetitions, folder.images.len() as u64, || {
                Ok(decode_all(&folder, square, |_| Ok::<(), DecodeError>(())).map(drop)?)
            })
        }
        Piece::Draw { backbone, to } => draw(&Backbone::of(*backbone), to),
    }
}

fn time_pass(pass: &Pass, repetitions: u32) -> Result<(), Failure> {
    let _no_grad = tch::no_grad_guard();
    let backbone = Backbone::of(pass.backbone);
    let graph = &backbone.graph;
    let kind = match pass.precision.as_str() {
        "fp32" => Kind::Float,
        "bf16" => Kind::BFloat16,
        other => return Err(format!("{other} is neither fp32 nor bf16").into()),
    };
    let weights = Weights::draw(&backbone, 1, Device::Cpu)?;
    let plan = Plan::compile(graph, &weights, graph.last(), kind)?;
    let shape = [pass.batch, pass.side, pass.side, 3];
    let pixels = Tensor::f_randint(256, shape, (Kind::Uint8, Device::Cpu))?;
    repeat(repetitions, pass.batch.unsigned_abs(), || {
        let input = backbone.preprocessing.apply(&pixels, Device::Cpu)?;
        let map = if pass.plain {
            graph.forward(&weights, Graph::INPUT, graph.last(), &input, Mode::Inference)?
        } else {
            plan.run(&input)?
        };
        Ok(pool(&map, Pooling::Gap).map(drop)?)
    })
}

fn time_suffix(
    backbone: &Backbone,
    batch: i64,
    steps: u64,
    repetitions: u32,
) -> Result<(), Failure> {
    let weights = Weights::draw(backbone, 1, Device::Cpu)?;
    let first_trainable = backbone.graph.first_trainable(&Freeze::UnfreezeLast(10))?;
    let prefix = Prefix {
        backbone,
        cut: backbone.graph.cut(first_trainable),
        pooling: Pooling::Gap,
        precision: Precision::Fp32,
    };
    let pixels = Tensor::f_randint(256, [batch, 224, 224, 3], (Kind::Uint8, Device::Cpu))?;
    let features = Encoder::new(prefix, &weights, Device::Cpu)?.encode(&pixels)?.f_contiguous()?;
    let loss = Loss::Binary;
    let labels: Vec<u32> = (0..batch.unsigned_abs() as u32).map(|image| image % 2).collect();
    let targets = loss.targets(&labels, 0.0, Device::Cpu)?;
    let start = Start {
        loss,
        design: &Design::default(),
        optimizer: config::Optimizer::default(),
        source: Source { seed: 1, fold: None },
    };
    let mut model = Model::new(prefix, first_trainable, &weights, &features, start)?;
    repeat(repetitions, steps, || {
        for _ in 0..steps {
            let _ = model.step(&features, &targets, None, 1e-4)?;
        }
        Ok(())
    })
}

/// Says for each repetition how long `work` on so many units took.
fn repeat(
    repetitions: u32,
    units: u64,
    mut work: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    work()?;
    for _ in 0..repetitions {
        let (begin, used) = (Instant::now(), processor_time());
        work()?;
        let (seconds, used) = (begin.elapsed(), processor_time() - used);
        let line = serde_json::json!({
            "units": units,
            "seconds": seconds.as_secs_f64(),
            "processor_seconds": used.as_secs_f64(),
        });
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(())
}

/// What this process has used of all cores.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Weights that keep activations in bounds, in the layout that the backbone's files have by default.
fn draw(backbone: &Backbone, to: &Path) -> Result<(), Failure> {
    let layout = backbone.layout_of([]);
    let mut rng = stream(1, Purpose::Backbone);
    let mut tensors = Vec::new();
    for spec in backbone.graph.layers().iter().flat_map(|layer| layer.tensors(layout)) {
        let count = spec.count();
        let values = match spec.role {
            Role::Kernel => normal(&mut rng, (2.0 / spec.fan_in() as f64).sqrt(), count),
            Role::Scale | Role::RunningVariance => vec![1.0; count],
            Role::Bias | Role::Shift | Role::RunningMean => vec![0.0; count],
        };
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((spec, bytes));
    }
    let views = tensors.iter().map(|(spec, bytes)| {
        let shape = spec.shape.iter().map(|&size| size.unsigned_abs() as usize).collect();
        Ok((spec.name.as_str(), TensorView::new(Dtype::F32, shape, bytes)?))
    });
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    Ok(serialize_to_file(views, None, to)?)
}

//! `sweep plan --layers`: the models that a sweep trains, layer by layer.

use miette::Diagnostic;
use serde::Serialize;
use spec::config::{Builtin, Freeze, Model, Weights};
use spec::protocol::{Event, LayerRow, LayersOrder, Order};
use spec::sweep::{Setting, Sweep};
use thiserror::Error;

use super::{load, print, print_json};
use crate::cli;
use crate::dataset::Datasets;
use crate::exit::{self, Ends, Failure};
use crate::output::Console;
use crate::planning::Work;
use crate::report::{grid, level_cell};
use crate::worker::{AskError, Program};

/// The layers of a model are not known.
#[derive(Debug, Error, Diagnostic)]
pub(in crate::command) enum NameError {
    /// The model cannot be built.
    #[error("{rows}: {cause}")]
    NoModel {
        /// The rows of the table that train it.
        rows: String,
        /// Why.
        cause: String,
    },
    /// Nobody says what layers it has.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unasked(#[from] AskError),
}

impl Ends for NameError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NoModel { .. } => exit::USAGE,
            Self::Unasked(error) => error.exit_code(),
        }
    }
}

/// A model, and the rows of the table that train it.
#[derive(Debug, Serialize)]
struct Built {
    sweep: String,
    rows: Vec<String>,
    backbone: &'static str,
    image_size: u32,
    parameters: u64,
    trainable: u64,
    non_trainable: u64,
    layers: Vec<LayerRow>,
}

pub(super) fn layers(args: &cli::Plan, console: &Console) -> Result<u8, Failure> {
    let program = Program::find()?;
    let mut datasets = Datasets::default();
    let mut models = Vec::new();
    for sweep in load(&args.files)? {
        for (order, rows) in orders(&sweep, &mut datasets)? {
            models.push(build(&program, &sweep.name, order, rows)?);
        }
    }
    match args.json {
        true => print_json(console, &models)?,
        false => print(console, &models.iter().map(table).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(exit::DONE)
}

/// Layers that only another trainer knows.
#[derive(Debug, Error, Diagnostic)]
#[error("the layers of {sweep} are its own trainer's: they cannot be listed")]
struct NotOurs {
    sweep: String,
}

impl Ends for NotOurs {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// The models of a sweep that differ in their layers, each with the rows that train it.
fn orders(
    sweep: &Sweep,
    datasets: &mut Datasets,
) -> Result<Vec<(LayersOrder, Vec<String>)>, Failure> {
    let mut orders: Vec<(LayersOrder, Vec<String>)> = Vec::new();
    let levels = sweep.factors.iter().flat_map(|factor| {
        factor.levels.iter().map(|level| {
            let cell = level_cell(&level.label, level.baseline);
            (format!("{} = {cell}", factor.name), &level.config)
        })
    });
    let baseline = std::iter::once(("baseline".to_owned(), &sweep.baseline));
    let combinations = sweep.combinations.iter().map(|combination| {
        let setting = |Setting { factor, level }: &Setting| format!("{factor} = {level}");
        let settings: Vec<String> = combination.settings.iter().map(setting).collect();
        (settings.join(", "), &combination.config)
    });
    for (row, config) in baseline.chain(levels).chain(combinations) {
        let Some(config) = config.builtin() else {
            return Err(NotOurs { sweep: sweep.name.clone() }.into());
        };
        let order = order(config, datasets.count_classes(&config.data)? as u32);
        match orders.iter_mut().find(|(other, _)| *other == order) {
            Some((_, rows)) => rows.push(row),
            None => orders.push((order, vec![row])),
        }
    }
    Ok(orders)
}

/// What of a configuration has to do with layers.
fn order(config: &Builtin, classes: u32) -> LayersOrder {
    let model = Model { weights: Weights::None, ..config.model.clone() };
    LayersOrder { model, image_size: config.data.image_size, classes }
}

/// Whether the layers that `work` speaks of are there. The worker would say the same, run by run and as a
/// result.
///
/// # Errors
/// When one is not, or the worker cannot be asked.
pub(in crate::command) fn check_names(program: &Program, work: &[Work]) -> Result<(), NameError> {
    let mut asked: Vec<LayersOrder> = Vec::new();
    for Work { config, label, .. } in work {
        let Some(config) = config.builtin() else { continue };
        if !matches!(config.model.freeze, Freeze::UnfreezeFrom(_)) {
            continue;
        }
        // How many classes there are says nothing about names.
        let order = order(config, 2);
        if !asked.contains(&order) {
            ask(program, order.clone(), label)?;
            asked.push(order);
        }
    }
    Ok(())
}

/// The layers of a model that `rows` train.
fn ask(program: &Program, order: LayersOrder, rows: &str) -> Result<Vec<LayerRow>, NameError> {
    let mut layers = Vec::new();
    for event in program.ask(Order::Layers(order))? {
        match event {
            Event::Layers { layers: built } => layers = built,
            Event::NoLayers { cause } => {
                return Err(NameError::NoModel { rows: rows.to_owned(), cause });
            }
            _ => {}
        }
    }
    Ok(layers)
}

fn build(
    program: &Program,
    sweep: &str,
    order: LayersOrder,
    rows: Vec<String>,
) -> Result<Built, Failure> {
    let (backbone, image_size) = (order.model.backbone.name(), order.image_size);
    let layers = ask(program, order, &format!("{sweep}, {}", rows.join(", ")))?;
    let trainable = layers.iter().map(|layer| layer.trainable).sum();
    let non_trainable = layers.iter().map(|layer| layer.non_trainable).sum();
    let parameters = trainable + non_trainable;
    let sweep = sweep.to_owned();
    Ok(Built { sweep, rows, backbone, image_size, parameters, trainable, non_trainable, layers })
}

fn table(model: &Built) -> String {
    let rows: Vec<[String; 5]> = model
        .layers
        .iter()
        .map(|layer| {
            let output: Vec<String> = layer.output.iter().map(i64::to_string).collect();
            [
                layer.name.clone(),
                layer.class.clone(),
                output.join(" x "),
                (layer.trainable + layer.non_trainable).to_string(),
                if layer.trainable > 0 { "yes".to_owned() } else { String::new() },
            ]
        })
        .collect();
    let headings = [
        ("layer", false),
        ("class", false),
        ("output", false),
        ("parameters", true),
        ("trains", false),
    ];
    format!(
        "# {}: {} at {} pixels\n\nfor {}\n\n{}\n{} layers, {} parameters: {} trainable, {} \
         non-trainable\n",
        model.sweep,
        model.backbone,
        model.image_size,
        model.rows.join(", "),
        grid::from_rows(headings, &rows),
        model.layers.len(),
        model.parameters,
        model.trainable,
        model.non_trainable,
    )
}

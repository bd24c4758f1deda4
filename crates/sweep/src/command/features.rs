//! `sweep features`: what a pretrained backbone makes of images.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use ::weights::aside;
use ::weights::folder::WeightsFolder;
use miette::Diagnostic;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;
use spec::config::{Backbone, Weights};
use spec::protocol::{Event, FeaturesOrder, Order};
use thiserror::Error;

use super::print;
use crate::cli::{self, FeaturesFormat};
use crate::exit::{self, Ends, Failure};
use crate::fingerprint::Fingerprinter;
use crate::output::Console;
use crate::weights;
use crate::worker::{AskError, Program};

/// There are no features.
#[derive(Debug, Error, Diagnostic)]
enum FeaturesError {
    #[error("there is no image {}", file.display())]
    NoImage { file: PathBuf },
    #[error(
        "{} cannot see images of {image_size} pixels: --image-size must be {} or more",
        backbone.name(),
        backbone.least_image_size()
    )]
    TooSmall { backbone: Backbone, image_size: u32 },
    #[error("{cause}")]
    Refused { cause: String },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Worker(#[from] AskError),
    #[error("the features cannot be written: {0}")]
    Write(io::Error),
}

impl Ends for FeaturesError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NoImage { .. } | Self::TooSmall { .. } | Self::Refused { .. } => exit::USAGE,
            Self::Worker(error) => error.exit_code(),
            Self::Write(_) => exit::ENVIRONMENT,
        }
    }
}

/// What is written: how features were made, and the features.
#[derive(Debug, Serialize)]
struct Table {
    backbone: &'static str,
    preprocessing: &'static str,
    pooling: &'static str,
    image_size: u32,
    interpolation: &'static str,
    /// BLAKE3 of the weights file.
    weights: String,
    images: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    image: PathBuf,
    features: Vec<f32>,
}

pub(super) fn features(args: &cli::Features, console: &Console) -> Result<u8, Failure> {
    if let Some(file) = args.images.iter().find(|file| !file.is_file()) {
        return Err(FeaturesError::NoImage { file: file.clone() }.into());
    }
    let image_size = args.image_size.unwrap_or(args.backbone.image_size());
    if image_size < args.backbone.least_image_size() {
        return Err(FeaturesError::TooSmall { backbone: args.backbone, image_size }.into());
    }
    let wanted = match args.weights.to_str() {
        Some("imagenet") => Weights::Imagenet,
        _ => Weights::File(args.weights.clone()),
    };
    let folder = WeightsFolder::from_environment();
    let Some(file) = weights::locate(&folder, args.backbone, &wanted)? else {
        unreachable!("only random weights have no file")
    };
    let fingerprint = Fingerprinter::default().weights(&file)?;
    let order = FeaturesOrder {
        backbone: args.backbone,
        weights: file,
        preprocessing: args.preprocessing,
        pooling: args.pooling,
        image_size,
        interpolation: args.interpolation,
        images: args.images.clone(),
    };
    let images = ask(&Program::find()?, order)?;
    let table = Table {
        backbone: args.backbone.name(),
        preprocessing: args.preprocessing.name(),
        pooling: args.pooling.name(),
        image_size,
        interpolation: args.interpolation.name(),
        weights: fingerprint,
        images,
    };
    let bytes = match args.format {
        FeaturesFormat::Json => table.json(),
        FeaturesFormat::Csv => table.csv(),
        FeaturesFormat::Safetensors => table.safetensors(),
    }
    .map_err(FeaturesError::Write)?;
    match &args.output {
        Some(file) => aside::write(file, &bytes).map_err(FeaturesError::Write)?,
        None => print(console, &String::from_utf8_lossy(&bytes))?,
    }
    Ok(exit::DONE)
}

/// Has a worker answer `order`.
fn ask(program: &Program, order: FeaturesOrder) -> Result<Vec<Row>, FeaturesError> {
    let mut rows = Vec::new();
    for event in program.ask(Order::Features(order))? {
        match event {
            Event::Features { image, features } => rows.push(Row { image, features }),
            Event::NoFeatures { cause } => return Err(FeaturesError::Refused { cause }),
            _ => {}
        }
    }
    Ok(rows)
}

impl Table {
    fn json(&self) -> io::Result<Vec<u8>> {
        let mut json = serde_json::to_vec(self)?;
        json.push(b'\n');
        Ok(json)
    }

    fn csv(&self) -> io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let columns = self.images.first().map_or(0, |row| row.features.len());
        let names = (0..columns).map(|column| format!("feature_{column}"));
        writer.write_record(["image".to_owned()].into_iter().chain(names))?;
        for Row { image, features } in &self.images {
            let image = image.to_string_lossy().into_owned();
            // As short as it may be and still the same 32-bit number.
            writer.write_record([image].into_iter().chain(features.iter().map(f32::to_string)))?;
        }
        writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }

    fn safetensors(&self) -> io::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Settings<'a> {
            backbone: &'a str,
            preprocessing: &'a str,
            pooling: &'a str,
            image_size: u32,
            interpolation: &'a str,
            weights: &'a str,
            images: Vec<&'a Path>,
        }
        let settings = Settings {
            backbone: self.backbone,
            preprocessing: self.preprocessing,
            pooling: self.pooling,
            image_size: self.image_size,
            interpolation: self.interpolation,
            weights: &self.weights,
            images: self.images.iter().map(|row| row.image.as_path()).collect(),
        };
        // One entry: several would come in any order.
        let metadata = HashMap::from([("sweep".to_owned(), serde_json::to_string(&settings)?)]);
        let columns = self.images.first().map_or(0, |row| row.features.len());
        let numbers = self.images.iter().flat_map(|row| &row.features);
        let data: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        let shape = vec![self.images.len(), columns];
        let view = TensorView::new(Dtype::F32, shape, &data).map_err(io::Error::other)?;
        safetensors::serialize([("features", view)], Some(metadata)).map_err(io::Error::other)
    }
}

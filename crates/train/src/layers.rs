//! The layers of a model in a table, as Keras's `summary` has them.

use spec::config::Pooling;
use spec::protocol::{LayerRow, LayersOrder};

use crate::backbones::Backbone;
use crate::graph::UnknownLayer;
use crate::loss::Loss;

/// The layers of a model, those of the backbone first: their Keras names, shapes and parameters, and which
/// of them train.
///
/// Parameters are counted as in the first layout that the network's weights come in: where there are two,
/// that is Keras's.
///
/// # Errors
/// When the backbone has no layer of the name that is to be unfrozen, or its output does not fit classes.
pub fn layers(order: &LayersOrder) -> Result<Vec<LayerRow>, LayersError> {
    let LayersOrder { model, image_size, classes } = order;
    let backbone = Backbone::of(model.backbone);
    let graph = &backbone.graph;
    let trains_from = graph.first_trainable(&model.freeze)?;
    let shapes = graph.shapes(i64::from(*image_size));
    let [layout, ..] = backbone.files.layouts else {
        unreachable!("there is no network without weights files")
    };
    let mut rows: Vec<LayerRow> = Vec::new();
    for (index, layer) in graph.layers().iter().enumerate() {
        let tensors = layer.tensors(*layout);
        let trains = trains_from.is_some_and(|from| index >= from);
        let count = |is_trained: bool| {
            let counted =
                tensors.iter().filter(|spec| (trains && spec.role.is_parameter()) == is_trained);
            counted.map(|spec| spec.count() as u64).sum()
        };
        rows.push(LayerRow {
            name: layer.name.clone(),
            class: layer.op.kind().to_owned(),
            output: shapes[index].to_vec(),
            trainable: count(true),
            non_trainable: count(false),
        });
    }
    let loss = Loss::with_output(model.output, *classes as usize)
        .ok_or(LayersError::Output { classes: *classes })?;
    let [height, width, channels] = shapes[graph.last()];
    let (name, class, features) = match model.pooling {
        Pooling::Gap => ("global_average_pooling2d", "GlobalAveragePooling2D", channels),
        Pooling::Gmp => ("global_max_pooling2d", "GlobalMaxPooling2D", channels),
        Pooling::Flatten => ("flatten", "Flatten", height * width * channels),
    };
    rows.push(without_parameters(name.to_owned(), class, features));
    let mut inputs = features;
    let (mut dense, mut dropouts) = (0, 0);
    let units = model.hidden.iter().copied().map(i64::from).chain([loss.logits()]);
    let last = model.hidden.len();
    if last == 0 && model.dropout > 0.0 {
        rows.push(without_parameters(numbered("dropout", &mut dropouts), "Dropout", inputs));
    }
    for (place, units) in units.enumerate() {
        rows.push(LayerRow {
            name: numbered("dense", &mut dense),
            class: "Dense".to_owned(),
            output: vec![units],
            trainable: ((inputs + 1) * units) as u64,
            non_trainable: 0,
        });
        if place < last && model.dropout > 0.0 {
            rows.push(without_parameters(numbered("dropout", &mut dropouts), "Dropout", units));
        }
        inputs = units;
    }
    Ok(rows)
}

/// A model that has no such layers.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum LayersError {
    #[error(transparent)]
    Layer(#[from] UnknownLayer),
    #[error(
        "output = \"sigmoid\" tells two classes apart, and there are {classes}: use \"softmax\""
    )]
    Output { classes: u32 },
}

fn without_parameters(name: String, class: &str, units: i64) -> LayerRow {
    let output = vec![units];
    LayerRow { name, class: class.to_owned(), output, trainable: 0, non_trainable: 0 }
}

/// `dense`, `dense_1`, ...: as Keras names layers of a class.
fn numbered(class: &str, so_far: &mut u32) -> String {
    let name = if *so_far == 0 { class.to_owned() } else { format!("{class}_{so_far}") };
    *so_far += 1;
    name
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What `scripts/parity/keras_layers.py` recorded.
    #[test]
    fn parameters_and_shapes_are_counted_as_in_keras() {
        let text = include_str!("../tests/parity/keras_layers.json");
        let recorded: Value = serde_json::from_str(text).unwrap();
        let cases = recorded["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 7);
        for case in cases {
            let order: LayersOrder = serde_json::from_value(case["order"].clone()).unwrap();
            let rows = layers(&order).unwrap();
            for (row, expected) in rows.iter().zip(case["layers"].as_array().unwrap()) {
                let LayerRow { name, class, output, trainable, non_trainable } = row;
                let row = json!([name, class, output, trainable, non_trainable]);
                assert_eq!(row, *expected, "{}", case["order"]);
            }
            assert_eq!(rows.len(), case["count"], "{}", case["order"]);
            let total = |of: &dyn Fn(&LayerRow) -> u64| rows.iter().map(of).sum::<u64>();
            assert_eq!(total(&|row| row.trainable), case["trainable"], "{}", case["order"]);
            assert_eq!(total(&|row| row.non_trainable), case["non_trainable"], "{}", case["order"]);
        }
    }

    #[test]
    fn what_has_no_layers_is_said() {
        let of = |model: Value, classes: u32| {
            let order = json!({ "model": model, "image_size": 224, "classes": classes });
            layers(&serde_json::from_value(order).unwrap()).map_err(|error| error.to_string())
        };
        let error = of(json!({ "freeze": { "unfreeze_from": "top" } }), 2).unwrap_err();
        assert!(error.contains("layers is called `top`"), "{error}");
        let error = of(json!({ "output": "sigmoid" }), 3).unwrap_err();
        assert!(error.contains("there are 3"), "{error}");
    }
}

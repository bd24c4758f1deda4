//! `sweep features`, with the real worker and the real weights of EfficientNet-Lite0.

use crate::bench::{Bench, Ran, Running, beside_us};
use crate::real::weights;

const PLATES: [&str; 2] = ["a.jpg", "b.jpg"];

/// A bench with two plates.
fn plates() -> Bench {
    let bench = Bench::new();
    let made = bench.sweep(&["data", "synth", "plates", "--train", "2", "--test", "2"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    for (class, name) in [("cleaned", "a.jpg"), ("dirty", "b.jpg")] {
        let mut plates = fs_err::read_dir(bench.path("plates/train").join(class)).unwrap();
        fs_err::rename(plates.next().unwrap().unwrap().path(), bench.path(name)).unwrap();
    }
    bench
}

fn features(bench: &Bench, args: &[&str]) -> Ran {
    let mut command = bench.command(&["features"]);
    command.args(["--backbone", "efficientnet_lite0", "--image-size", "96"]).args(args);
    command.env("SWEEP_TRAIN", beside_us("sweep-train")).env("SWEEP_WEIGHTS", weights());
    bench.wait(Running::start(command))
}

fn numbers(value: &serde_json::Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn every_format_holds_the_same_numbers() {
    let bench = plates();
    let ran = features(&bench, &PLATES);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&json["backbone"], &json["pooling"]),
        (&"efficientnet_lite0".into(), &"gap".into())
    );
    let images = json["images"].as_array().unwrap();
    let rows: Vec<Vec<f32>> = images.iter().map(|row| numbers(&row["features"])).collect();
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [1280, 1280]);
    assert!(rows[0] != rows[1] && rows[0].iter().all(|feature| (0.0..=6.0).contains(feature)));
    assert_eq!(images[1]["image"], "b.jpg", "in the order in which they were given");

    let csv = features(&bench, &[&PLATES[..], &["--format", "csv"]].concat()).stdout;
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().starts_with("image,feature_0,feature_1,"));
    for ((line, row), name) in lines.zip(&rows).zip(PLATES) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[0], name);
        let read: Vec<f32> = cells[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(read, *row);
    }

    let to_file = ["--format", "safetensors", "--output", "features.safetensors"];
    assert_eq!(features(&bench, &[&PLATES[..], &to_file].concat()).code, 0);
    let file = fs_err::read(bench.path("features.safetensors")).unwrap();
    let flat: Vec<u8> = rows.concat().iter().flat_map(|number| number.to_le_bytes()).collect();
    assert!(file.ends_with(&flat));
    let header = String::from_utf8_lossy(&file[8..file.len() - flat.len()]);
    assert!(header.contains(r#""shape":[2,1280]"#) && header.contains("a.jpg"), "{header}");
}

#[test]
fn images_become_input_as_asked() {
    let bench = plates();
    let of = |mode: &[&str]| {
        let ran = features(&bench, &[&["a.jpg"], mode].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        (json["preprocessing"].clone(), numbers(&json["images"][0]["features"]))
    };
    let (auto, own) = of(&[]);
    let (lite, same) = of(&["--preprocessing", "lite"]);
    let (torch, other) = of(&["--preprocessing", "torch"]);
    assert_eq!((auto, lite, torch), ("auto".into(), "lite".into(), "torch".into()));
    assert!(own == same && own != other);
    let (_, nearest) = of(&["--interpolation", "nearest"]);
    assert!(own != nearest);

    let ran = features(&bench, &["a.jpg", "--preprocessing", "keras"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("caffe"), "the words there are: {}", ran.stderr);
}

#[test]
fn what_has_no_features_is_named() {
    let bench = plates();
    let ran = features(&bench, &["a.jpg", "gone.jpg"]);
    assert_eq!((ran.code, ran.stderr.trim()), (2, "× there is no image gone.jpg"));

    bench.write("none.jpg", "no picture");
    let ran = features(&bench, &["a.jpg", "none.jpg"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("none.jpg") && ran.stdout.is_empty(), "{}", ran.stderr);

    let checkpoint =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/weights/tests/fixtures/zip.pth");
    bench.sweep(&["weights", "convert", checkpoint, "other.safetensors"]);
    let ran = features(&bench, &["a.jpg", "--weights", "other.safetensors"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("does not hold the weights"), "{}", ran.stderr);

    let lite0 = weights().join("efficientnet_lite0.safetensors");
    let mut command = bench.command(&["features", "--backbone", "resnet18", "a.jpg", "--weights"]);
    command.arg(lite0).env("SWEEP_TRAIN", beside_us("sweep-train"));
    let ran = bench.wait(Running::start(command));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("but those of efficientnet_lite0"),
        "whose they are: {}",
        ran.stderr
    );

    let ran = features(&bench, &["a.jpg", "--format", "safetensors"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--output"), "{}", ran.stderr);
}

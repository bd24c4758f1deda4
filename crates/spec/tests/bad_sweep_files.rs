//! What is said about files that cannot be used, as a person sees it.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod refused;

use refused::{folder, rendered};
use spec::sweep_file::{Override, load};

/// What is said when `sweep.toml` beside `files` is loaded.
fn said(files: &[(&str, &str)], overrides: &[&str]) -> String {
    let folder = folder(files);
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    match load(&folder.join("sweep.toml"), &overrides) {
        Ok(sweep) => panic!("this was to be refused: {sweep:?}"),
        Err(error) => rendered(&error, &folder),
    }
}

const BASE: &str = "[data]\ntrain = \"train\"\n";

/// One file that extends a baseline with nothing but training data.
fn extending(text: &str) -> String {
    said(&[("base.toml", BASE), ("sweep.toml", &format!("extends = \"base.toml\"\n\n{text}"))], &[])
}

macro_rules! snapshots {
    ($($name:ident: $said:expr;)*) => {
        $(#[test] fn $name() { insta::assert_snapshot!($said); })*
    };
}

snapshots! {
    // Names.
    unknown_key_in_a_section: extending("[train]\nbatch_size = 16\nlearning_rte = 1e-3\n");
    key_of_another_section: extending("[train]\nbackbone = \"resnet50\"\n");
    unknown_key_in_the_baseline: extending("[baseline]\nlr = 1e-3\nmomentum = 0.9\n");
    unknown_key_at_the_top: extending("replicate = 3\nbatch_size = 16\nseed = 1\n\n[factor]\nepochs = [1]\n");
    unknown_key_in_the_schedule: extending("[schedule]\ndevice = \"cpu\"\n");
    key_in_augment: extending("[augment]\nflip = true\n");
    wrong_augmentation: extending(
        "[augment]\nrotation_range = 400\nwidth_shift_range = -0.1\nheight_shift_range = \"0.1\"\n\
         shear_range = 90\nzoom_range = 1.5\nbrightness_range = [1.2, 0.8]\nchannel_shift_range = [0]\n\
         horizontal_flip = 1\nfill_mode = \"reflekt\"\ncval = 256\nviews = 0\n"
    );
    wrong_ranges: extending(
        "[augment]\nzoom_range = [0, 1.2]\nbrightness_range = [0.5, 1, 2]\nviews = \"new\"\n\
         width_shift_range = [-10, 10]\n"
    );
    one_number_for_two: extending("[augment]\nbrightness_range = 0.5\n");
    augmentation_that_changes_nothing: extending("[augment]\nviews = 8\nfill_mode = \"wrap\"\n");
    augmentation_without_a_key: extending("[augment]\n");
    augmentation_that_levels_switch_on: extending("[factors]\naugment = [false, true]\n");
    views_of_nothing: extending("[factors]\nviews = [1, 8]\n");
    augmentation_that_trains_alike: extending(
        "[factors]\naugment = [\n    { rotation_range = 5, cval = 3 },\n    { rotation_range = 5, cval = 9 },\n]\n"
    );
    shift_of_nothing: extending("[augment]\nwidth_shift_range = 1\n");
    shift_out_of_sight: extending("[factors]\nheight_shift_range = [0.1, 224, 300.5]\n");
    unknown_factor: extending("[factors]\nbatchsize = [16, 32]\n");
    unknown_key_in_a_level: extending("[factors]\nmodel = [{ label = \"A\", backbon = \"resnet50\" }]\n");
    section_taken_for_a_key: extending("[baseline]\ntrain = \"../train\"\n");
    // Values.
    wrong_types: extending(
        "[train]\nbatch_size = \"16\"\nlearning_rate = \"fast\"\nepochs = 10.0\nsteps_per_epoch = \"auto\"\n\
         \n[early_stopping]\nrestore_best_weights = \"yes\"\npatience = [5]\n"
    );
    out_of_range: extending(
        "[data]\nvalidation = 1.5\nimage_size = 16\n\n[model]\nfreeze = { unfreeze_last = 0 }\n\n\
         [train]\nbatch_size = 0\nlearning_rate = 0.0\nepochs = 5_000_000_000\nsteps_per_epoch = 0\n\n\
         [early_stopping]\npatience = -1\nmin_delta = -0.1\n\n\
         [reduce_lr_on_plateau]\nfactor = 1\nmin_lr = nan\n"
    );
    wrong_words: extending(
        "[data]\ninterpolation = \"bilinaer\"\n\n[model]\nbackbone = \"resnet5\"\npooling = \"avg\"\nfreeze = \"al\"\nweights = \"imagnet\"\n\n\
         [early_stopping]\nmonitor = \"val_los\"\n"
    );
    misspelt_weights: extending("[model]\nweights = \"imagnet\"\n");
    wrong_table_value: extending("[baseline]\nfreeze = { unfreeze = 10 }\n");
    number_beyond_64_bits: extending("[train]\nbatch_size = 99999999999999999999\n");
    wrong_head: extending("replicates = 0\nstrategy = \"gird\"\ntitle = 5\nschedule = \"cpu\"\nfactors = []\n");
    wrong_limits: extending(
        "[schedule]\ntime_limit = \"0s\"\nsilence_limit = \"soon\"\nretries = -1\nretry_delay = false\nset_aside_after = 0\nsweep_time_limit = 5\ncheckpoint_every = \"100ms\"\n"
    );
    wrong_slurm: extending(
        "[slurm]\npartition = \"two words\"\nmem = \"16GiB\"\ntime = \"90\"\ncpus = 0\ngrace = \"1day\"\n\
         setup = \"module load cuda\"\nflags = [\"--array=0-9\", \"--mem=2G\", \"exclude\"]\ngpus = 1\n"
    );
    options_among_setup: extending("[slurm]\nsetup = [\"#SBATCH --mem=2G\", \"# a remark\"]\n");
    wrong_devices: extending("[schedule]\ndevices = \"gpu:0\"\n");
    section_that_is_no_table: extending("train = 5\nearly_stopping = \"off\"\n");
    list_outside_factors: extending("[train]\nbatch_size = [16, 32]\n");
    // Settings against each other.
    key_set_twice: extending("[train]\nbatch_size = 16\n\n[baseline]\nbatch_size = 32\n");
    section_set_and_off: extending("[early_stopping]\npatience = 5\n\n[baseline]\nearly_stopping = false\n");
    section_off_and_set: extending("early_stopping = false\n\n[baseline]\npatience = 5\n");
    monitor_without_validation_in_one_file: extending("[data]\nvalidation = \"none\"\n\n[early_stopping]\npatience = 3\n");
    monitor_without_validation_across_files: said(&[
        ("base.toml", "[data]\ntrain = \"train\"\n\n[reduce_lr_on_plateau]\nmonitor = \"val_accuracy\"\n"),
        ("sweep.toml", "extends = \"base.toml\"\n\n[baseline]\nvalidation = \"none\"\n"),
    ], &[]);
    monitor_without_validation_in_a_level: extending(
        "[early_stopping]\n\n[factors]\nvalidation = [0.2, \"none\"]\n"
    );
    one_cause_in_many_levels: extending(
        "[data]\nvalidation = \"none\"\n\n[factors]\npatience = [5, 10, 15]\n"
    );
    schedule_and_plateaus: extending(
        "[train]\nlearning_rate_schedule = \"cosine\"\n\n[reduce_lr_on_plateau]\nfactor = 0.5\n"
    );
    validation_steps_without_validation: extending(
        "[data]\nvalidation = \"none\"\n\n[train]\nvalidation_steps = 2\n"
    );
    images_too_small_for_a_backbone: extending(
        "[data]\nimage_size = 64\n\n[factors]\nbackbone = [\"resnet50\", \"inception_resnet_v2\"]\n"
    );
    wrong_validation: extending(
        "[factors]\nvalidation = [{ folds = 1 }, { fold = 5 }, { folds = 2.5 }, 1.5, \"\"]\n"
    );
    precision_of_nothing: extending("[model]\nprecision = \"bf16\"\nfreeze = \"none\"\n");
    endless_warmup: extending(
        "[train]\nepochs = 5\nlearning_rate_schedule = { name = \"cosine\", warmup_epochs = 5, initial_learning_rate = 0 }\n"
    );
    wrong_schedules: extending(
        "[factors]\nlearning_rate_schedule = [\n    \"cosin\",\n    { name = \"step\", factor = 2, every = 10 },\n    \
         { name = \"step\", factor = 0.5 },\n    { name = \"cosine\", warmup = 5 },\n    { every = 3 },\n]\n"
    );
    wrong_optimizers: extending(
        "[factors]\noptimizer = [\n    \"adm\",\n    { name = \"sgd\", momentum = -0.9 },\n    \
         { name = \"adam\", momentum = 0.9 },\n    { name = \"adam\", convention = \"pytorch\" },\n]\n"
    );
    wrong_heads: extending(
        "[model]\nhidden = 256\ndropout = 1.0\noutput = \"sigmoyd\"\nkernel_initializer = \"he\"\n\n\
         [train]\nlabel_smoothing = -0.1\nclass_weight = { clean = -1 }\n"
    );
    hidden_layers_without_units: extending("[factors]\nhidden = [[], [256, 0], 5]\n");
    wrong_early_stopping: extending(
        "[early_stopping]\nmode = \"maximum\"\nverbose = 2\nbaseline = \"0.5\"\nstart_from_epoch = -1\n"
    );
    // Factors and levels.
    bad_levels: extending(
        "[factors]\nbatch_size = [16, 0, \"32\"]\nepochs = []\nlearning_rate = 1e-3\nsteps_per_epoch = [10, 10]\n"
    );
    equal_levels: extending(
        "[factors]\nlearning_rate = [1, 1.0]\nsteps_per_epoch = [false, 5, { label = \"images\", steps_per_epoch = 5 }]\n\
         early_stopping = [\n    false,\n    { patience = 10 },\n    true,\n]\n"
    );
    equal_labels: extending(
        "[factors]\nmodel = [\n    { label = \"big\", backbone = \"resnet50\" },\n    { label = \"big\", pooling = \"flatten\" },\n]\n"
    );
    level_that_changes_nothing: extending("[factors]\nmodel = [{}, { pooling = \"flatten\" }]\n");
    unreadable_level_beside_a_like_one: extending("[factors]\nmodel = [{ label = \"A\" }, { label = \"B\", poling = \"gmp\" }]\n");
    label_over_two_lines: extending("[factors]\nmodel = [{ label = \"a\\nb\", pooling = \"gmp\" }]\n");
    one_key_in_two_factors: extending(
        "[factors]\nbatch_size = [16, 32]\nheavy = [{ batch_size = 64, epochs = 5 }]\n"
    );
    one_factor_twice: extending("[factors]\nbatch_size = [16]\ntrain.batch_size = [32]\n");
    no_factors: extending("[factors]\n");
    // Strategies.
    wrong_replicates: extending("replicates = { min = 5, max = 3 }\n");
    open_replicates: extending("replicates = { min = 5, until = \"decided\" }\n");
    undecided_replicates: extending("replicates = { min = 3, max = 30, until = \"bored\" }\n");
    wrong_strategy_values: extending("margin = 2\nsamples = 0\nsampler = \"sobel\"\nstrategy = \"random\"\n");
    wrong_sampler_table: extending("strategy = \"random\"\nsamples = 4\nsampler = { seed = 2 }\n[factors]\nepochs = [1, 2, 3, 4]\n");
    keys_of_other_strategies: extending(
        "samples = 5\nsampler = \"sobol\"\nswitch = \"best\"\nchoose_by = \"test\"\n[factors]\nbatch_size = [16]\n"
    );
    interactions_of_a_grid: extending(
        "strategy = \"grid\"\ninteractions = [[\"batch_size\", \"epochs\"]]\n[factors]\nbatch_size = [16]\nepochs = [5]\n"
    );
    wrong_interactions: extending("interactions = [\"batch_size\", \"epochs\"]\n[factors]\nbatch_size = [16]\n");
    lonely_interaction: extending("interactions = [[\"batch_size\"]]\n[factors]\nbatch_size = [16]\n");
    unknown_interaction: extending(
        "interactions = [[\"batch_size\", \"epoch\"], [\"batch_size\", \"train.batch_size\"]]\n\
         [factors]\nbatch_size = [16]\nepochs = [5]\n"
    );
    range_one_factor_at_a_time: extending("[factors]\nlearning_rate = { min = 1e-5, max = 1e-2, log = true }\n");
    wrong_sample_ranges: extending(
        "strategy = \"random\"\nsamples = 5\n[factors]\nlearning_rate = { min = 0.0, max = 1e-2, log = true }\n\
         batch_size = { min = 64, max = 8 }\nepochs = { min = 5 }\npooling = { min = 1, max = 2 }\n\
         patience = { min = 1, max = 2, step = 1 }\ndropout = { min = 0.0, max = 0.5, log = 1 }\n"
    );
    samples_without_number: extending("strategy = \"random\"\n[factors]\nbatch_size = [16, 64]\n");
    more_samples_than_there_are: extending("strategy = \"random\"\nsamples = 5\n[factors]\nbatch_size = [16, 64]\n");
    grid_without_end: extending(&format!(
        "strategy = \"grid\"\n[factors]\nbatch_size = {levels:?}\nepochs = {levels:?}\nsteps_per_epoch = {levels:?}\n",
        levels = (1..=30).collect::<Vec<_>>()
    ));
    contradiction_in_a_grid: extending(
        "strategy = \"grid\"\n[data]\nvalidation = 0.2\n[factors]\nvalidation = [\"none\", 0.2]\nearly_stopping = [false, true]\n"
    );
    contradiction_late_in_a_chain: extending(
        "strategy = \"chain\"\nchoose_by = \"test\"\n[data]\ntest = \"test\"\n[factors]\nvalidation = [\"none\", 0.2]\n\
         early_stopping = [false, true]\n"
    );
    chain_without_validation: extending("strategy = \"chain\"\n[data]\nvalidation = \"none\"\n[factors]\nbatch_size = [16, 32]\n");
    chain_without_test: extending("strategy = \"chain\"\nchoose_by = \"test\"\n[factors]\nbatch_size = [16, 32]\n");
    // Files.
    no_training_data: said(&[("sweep.toml", "[data]\ntest = \"test\"\n")], &[]);
    empty_file: said(&[("sweep.toml", "")], &[]);
    missing_file: said(&[("sweeps.toml", "")], &[]);
    missing_base: said(&[("base.toml", BASE), ("sweep.toml", "title = \"A\"\nextends = \"bas.toml\"\n")], &[]);
    cycle: said(&[
        ("sweep.toml", "extends = \"a.toml\"\n"),
        ("a.toml", "title = \"A\"\nextends = \"./b.toml\"\n"),
        ("b.toml", "extends = \"sweep.toml\"\n"),
    ], &[]);
    problem_in_the_base: said(&[
        ("base.toml", "[data]\ntrain = 5\n"),
        ("sweep.toml", "extends = \"base.toml\"\nreplicates = \"5\"\n"),
    ], &[]);
    // TOML itself.
    unquoted_text: extending("[model]\nbackbone = resnet50\n");
    missing_value: extending("[train]\nbatch_size =\nepochs = 5\n");
    missing_bracket: extending("[factors]\nbatch_size = [16, 32, 64\nepochs = [50]\n");
    missing_brackets: extending("[factors]\nbatch_size = 16, 32\n");
    unclosed_text: extending("[data]\ntest = \"../test\n");
    same_key_twice: extending("[train]\nepochs = 5\nepochs = 6\n");
    // The command line.
    overrides: said(&[("sweep.toml", BASE)], &["batch_sze=16", "epochs=0", "freeze=some", "data.train=5"]);
    override_against_a_level: said(
        &[("sweep.toml", &format!("{BASE}\n[early_stopping]\n"))], &["validation=none"]
    );
}

#[test]
fn not_utf_8() {
    let folder = folder(&[]);
    let file = folder.join("sweep.toml");
    fs_err::write(&file, b"title = \"B\xe4ckbone\"\n").unwrap();
    insta::assert_snapshot!(rendered(&load(&file, &[]).unwrap_err(), &folder));
}

#[test]
fn too_large() {
    let text = "#".repeat((1 << 20) + 1);
    insta::assert_snapshot!(said(&[("sweep.toml", &text)], &[]));
}

#[test]
fn a_folder() {
    let folder = folder(&[]).join("sweeps");
    fs_err::create_dir(&folder).unwrap();
    let parent = folder.parent().unwrap();
    insta::assert_snapshot!(rendered(&load(&folder, &[]).unwrap_err(), parent));
}

#[test]
fn a_name_with_another_meaning() {
    let folder = folder(&[("runs.toml", BASE)]);
    let error = load(&folder.join("runs.toml"), &[]).unwrap_err();
    insta::assert_snapshot!(rendered(&error, &folder));
}

#[test]
fn every_problem_has_its_line_and_column() {
    let text = "title = \"ü\"\n[train]\nbatch_size = 0\n[data]\n  train = 1\n";
    let folder = folder(&[("sweep.toml", text)]);
    let error = load(&folder.join("sweep.toml"), &[]).unwrap_err();
    let places: Vec<_> = error.problems().iter().map(|problem| problem.line_column()).collect();
    assert_eq!(places, [Some((3, 14)), Some((5, 11))]);
    assert!(error.problems().iter().all(|problem| problem.file().unwrap().ends_with("sweep.toml")));
}

//! Generates the default set: `cargo run --release -p synth --example generate -- FOLDER [SEED] [TRAIN] [TEST]`.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, or: u64| arguments.get(i).map_or(Ok(or), |text| text.parse());
    let folder = arguments.first().ok_or("name a folder")?;
    let plates = synth::Plates {
        seed: number(1, 1)?,
        train: number(2, 40)? as u32,
        test: number(3, 744)? as u32,
        ..Default::default()
    };
    Ok(plates.write(folder.as_ref(), &|_| {})?)
}

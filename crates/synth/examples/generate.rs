//! Writes the default set: `cargo run --release -p synth --example generate -- FOLDER [SEED]`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder")?;
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let plates = synth::Plates { seed, ..Default::default() };
    Ok(plates.write(folder.as_ref(), &|_done| {})?)
}

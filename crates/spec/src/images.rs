//! Which files are images.

use std::path::Path;

/// The endings of images' names, in whatever case.
const ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// Whether a file is an image, by its name.
pub fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell() {
        for (name, expected) in [
            ("a/1.jpg", true),
            ("1.JPEG", true),
            ("1.png", true),
            ("1.WebP", true),
            ("1.gif", false),
            ("jpg", false),
            (".jpg", false),
            ("notes.txt", false),
        ] {
            assert_eq!(is_image(Path::new(name)), expected, "{name}");
        }
    }
}

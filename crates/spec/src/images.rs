//! Which files are images, and what many of them together are called.

use std::path::Path;

/// The endings of images' names, in whatever case.
const ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// Whether a file is an image, by its name.
pub fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Names images by what they are called and hold: by their names relative to their folder, with `/`, and
/// the hashes of their contents. The order in which they come is no matter.
pub fn fingerprint<N: AsRef<[u8]>>(images: impl IntoIterator<Item = (N, blake3::Hash)>) -> String {
    let mut images: Vec<_> = images.into_iter().collect();
    images.sort_unstable_by(|(one, _), (other, _)| one.as_ref().cmp(other.as_ref()));
    let mut hasher = blake3::Hasher::new();
    for (name, content) in images {
        let name = name.as_ref();
        // Its length before it: no name with a hash passes for another one.
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(content.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_count_and_the_order_does_not() {
        let image = |name: &'static str, content: &str| (name, blake3::hash(content.as_bytes()));
        let both = fingerprint([image("a/1.jpg", "x"), image("b/2.jpg", "y")]);
        assert_eq!(both, fingerprint([image("b/2.jpg", "y"), image("a/1.jpg", "x")]));
        for other in [
            vec![image("a/1.jpg", "y"), image("b/2.jpg", "x")],
            vec![image("a/1.jpg", "x")],
            vec![image("b/1.jpg", "x"), image("b/2.jpg", "y")],
        ] {
            assert_ne!(both, fingerprint(other));
        }
    }

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

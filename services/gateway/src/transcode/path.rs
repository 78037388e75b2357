//! Where in the body a value stands, as errors name it: `payOutDetails.address`, `roles[2]`. A list on the stack, since
//! it is needed only when something is wrong.

use std::fmt::Write;

/// Characters of a name that are repeated to its sender.
const NAME_CHARS_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    /// The text of errors; the whole body is `` (empty).
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Root => {}
            Self::Field(parent, name) => {
                parent.write(text);
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&shown(name));
            }
            Self::Item(parent, index) => {
                parent.write(text);
                let _ = write!(text, "[{index}]");
            }
        }
    }
}

/// A name as it may be repeated to its sender: bounded, without control characters.
pub(super) fn shown(name: &str) -> String {
    let mut text: String =
        name.chars().take(NAME_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(NAME_CHARS_MAX).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let (root, list) = (Path::Root, Path::Field(&Path::Root, "roles"));
        let item = Path::Item(&list, 2);
        assert_eq!(root.text(), "");
        assert_eq!(Path::Field(&item, "x").text(), "roles[2].x");
        assert_eq!(Path::Field(&root, &"k\n".repeat(200)).text().chars().count(), NAME_CHARS_MAX + 1);
    }
}

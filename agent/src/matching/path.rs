//! The normal form of a path, which rules look at: `/a/../%61dmin` is `/admin`, to us as to most targets.
//!
//! Percent-encoded letters, digits and `-._~` are decoded, then the segments `.` and `..` are taken out (RFC 3986,
//! 6.2.2.2 and 6.2.2.3). Other encodings stay: `%2F` is not `/`. What is forwarded is the path as sent.
//! Source: application load balancer, 1 ("after URI normalization").

use smallvec::SmallVec;

/// Paths up to this length are put into normal form without an allocation.
const INLINE: usize = 512;

/// Room for a path that is put into normal form.
pub(super) type Room = SmallVec<[u8; INLINE]>;

/// The normal form of a path: itself, or made in the room. What does not begin with `/` (the `*` of OPTIONS) is left
/// alone.
pub(super) fn normal<'a>(path: &'a [u8], room: &'a mut Room) -> &'a [u8] {
    if path.first() != Some(&b'/') || is_normal(path) {
        return path;
    }
    decode(path, room);
    remove_dots(room);
    room
}

/// Nothing is encoded and no segment begins with a dot (some such segments are normal, too: they just take longer).
fn is_normal(path: &[u8]) -> bool {
    memchr::memchr2_iter(b'%', b'.', path).all(|at| path[at] == b'.' && path[at - 1] != b'/')
}

fn decode(path: &[u8], room: &mut Room) {
    room.clear();
    room.reserve(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        match encoded(rest).filter(|byte| is_unreserved(*byte)) {
            Some(byte) => {
                room.push(byte);
                rest = &rest[3..];
            }
            None => {
                room.push(*first);
                rest = tail;
            }
        }
    }
}

/// The byte that a text begins with in percent-encoding.
fn encoded(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986, 5.2.4, in place: what is kept never overtakes what is read.
fn remove_dots(path: &mut Room) {
    let (mut kept, mut at) = (0, 0);
    while at < path.len() {
        let end = memchr::memchr(b'/', &path[at + 1..]).map_or(path.len(), |next| at + 1 + next);
        let is_dots = match &path[at + 1..end] {
            b"." => true,
            b".." => {
                kept = memchr::memrchr(b'/', &path[..kept]).unwrap_or(0);
                true
            }
            _ => false,
        };
        if !is_dots {
            path.copy_within(at..end, kept);
            kept += end - at;
        } else if end == path.len() {
            path[kept] = b'/';
            kept += 1;
        }
        at = end;
    }
    path.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_normal_form() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b.c", "/a/b.c"),
            ("/a//b", "/a//b"),
            ("*", "*"),
            ("", ""),
            ("/./a", "/a"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/..", "/"),
            ("/../..", "/"),
            ("/a/b/../../c", "/c"),
            ("/a/../../c/./d/", "/c/d/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/%61dmin", "/admin"),
            ("/x/%2e%2E/admin", "/admin"),
            ("/a%2Fb%20c", "/a%2Fb%20c"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz%41", "/%zzA"),
            ("/%2541", "/%2541"),
        ] {
            let mut room = Room::new();
            let made = String::from_utf8_lossy(normal(path.as_bytes(), &mut room));
            assert_eq!(made, expected, "{path}");
        }
    }

    #[test]
    fn whatever_the_bytes_no_dot_segment_is_left() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..20_000 {
            let length = random.usize(0..20);
            let letters = (0..length).map(|_| random.choice("/.%2eE41\0\u{ff}".bytes()).unwrap());
            let path: Vec<_> = b"/".iter().copied().chain(letters).collect();
            let mut room = Room::new();
            let once = normal(&path, &mut room);
            assert!(
                once.starts_with(b"/") && once.len() <= path.len(),
                "{path:?}"
            );
            let segments = once.split(|byte| *byte == b'/');
            assert!(
                segments.into_iter().all(|one| one != b"." && one != b".."),
                "{path:?}"
            );
        }
    }
}

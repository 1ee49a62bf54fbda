//! Files, folders and standard input -> documents, with every mistake of all of them at once.
//!
//! A folder stands for the `.yaml`, `.yml` and `.json` files in it and in the folders below it, in the order of their
//! names; what is hidden is left out.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::manifest::{self, Document, ManifestError};

use crate::error::{self, Error};

/// The largest manifest file, in bytes: more does not fit into one change anyway.
const MAX_FILE_BYTES: usize = MAX_MESSAGE_BYTES;
/// The largest file that a field names (a certificate chain), in bytes.
const MAX_FIELD_FILE_BYTES: usize = 1024 * 1024;
/// Files of one command.
const MAX_FILES: usize = 10_000;
/// Folders inside each other.
const MAX_DEPTH: usize = 16;
/// Stands for standard input.
const STDIN: &str = "-";

/// A document, and where it was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) document: Document,
    /// `shop.yaml:12`.
    pub(crate) origin: String,
}

/// Reads everything that `paths` stand for. Errors: every mistake, and every path that cannot be read or has nothing.
pub(crate) fn read(paths: &[String]) -> Result<Vec<Written>, Error> {
    if paths.iter().filter(|path| *path == STDIN).count() > 1 {
        return Err(Error::Usage(
            "standard input can be read once: give '-f -' once".to_owned(),
        ));
    }
    let (mut documents, mut mistakes) = (Vec::new(), Vec::new());
    for path in paths {
        let before = documents.len() + mistakes.len();
        match files(path) {
            Ok(files) => {
                for file in files {
                    read_file(&file, &mut documents, &mut mistakes);
                }
            }
            Err(mistake) => mistakes.push(mistake),
        }
        if documents.len() + mistakes.len() == before {
            let what = if Path::new(path).is_dir() {
                "has no documents: no .yaml, .yml or .json file with one"
            } else {
                "has no documents"
            };
            mistakes.push(format!("{path}: {what}"));
        }
    }
    if mistakes.is_empty() {
        Ok(documents)
    } else {
        Err(Error::Manifests(mistakes))
    }
}

/// Parses one text; `name` is what to call it, `folder` what its `*File` fields are relative to.
pub(crate) fn parse(text: &str, name: &str, folder: &Path) -> Result<Vec<Written>, Vec<String>> {
    let mut read_field = |path: &str| read_field(folder, path);
    let parsed = manifest::parse(text, &mut read_field);
    let documents = parsed.map_err(|errors| {
        errors
            .iter()
            .map(|error| mistake(name, error))
            .collect::<Vec<_>>()
    })?;
    let written = documents.into_iter().map(|document| Written {
        origin: format!("{name}:{}", document.line),
        document,
    });
    Ok(written.collect())
}

/// `shop.yaml:12: Rule shop/https/catalog: priority: must be ...`, as far as it is known.
fn mistake(name: &str, error: &ManifestError) -> String {
    let mut line = format!("{name}:{}", error.line);
    for part in [&error.resource, &error.field, &error.message] {
        if !part.is_empty() {
            line.push_str(": ");
            line.push_str(part);
        }
    }
    line
}

fn read_file(path: &Path, documents: &mut Vec<Written>, mistakes: &mut Vec<String>) {
    let is_stdin = path.as_os_str() == STDIN;
    let name = if is_stdin {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let text = if is_stdin {
        text(std::io::stdin(), MAX_FILE_BYTES)
    } else {
        file_text(path, MAX_FILE_BYTES)
    };
    let folder = if is_stdin {
        Path::new("")
    } else {
        path.parent().unwrap_or_else(|| Path::new(""))
    };
    let parsed = text.map_err(|why| vec![format!("{name}: {why}")]);
    match parsed.and_then(|text| parse(&text, &name, folder)) {
        Ok(written) => documents.extend(written),
        Err(found) => mistakes.extend(found),
    }
}

/// The content of a file that a field names. Errors: why not; whoever asked names the file.
fn read_field(folder: &Path, path: &str) -> Result<String, String> {
    file_text(&folder.join(path), MAX_FIELD_FILE_BYTES)
}

/// The whole text of a file. Errors: in words; more than `most` bytes are one.
pub(crate) fn file_text(path: &Path, most: usize) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error::reason(&error))?;
    text(file, most)
}

/// All that there is to read. Errors: in words; more than `most` bytes are one.
pub(crate) fn text(reader: impl Read, most: usize) -> Result<String, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| error::reason(&error))?;
    if bytes.len() > most {
        return Err(format!("has more than {most} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())
}

/// The files that a path stands for. Errors: a line saying what is wrong.
fn files(path: &str) -> Result<Vec<PathBuf>, String> {
    let root = PathBuf::from(path);
    if path == STDIN || !root.is_dir() {
        return Ok(vec![root]);
    }
    let mut found = Vec::new();
    below(&root, 0, &mut found)?;
    Ok(found)
}

fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |why: String| format!("{}: {why}", folder.display());
    if depth >= MAX_DEPTH {
        return Err(failed(format!("is more than {MAX_DEPTH} folders deep")));
    }
    let entries = std::fs::read_dir(folder).map_err(|error| failed(error::reason(&error)))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths = paths.collect::<Result<Vec<_>, _>>();
    let mut paths = paths.map_err(|error| failed(error::reason(&error)))?;
    paths.sort();
    for path in paths.into_iter().filter(|path| !is_hidden(path)) {
        if path.is_dir() {
            below(&path, depth + 1, found)?;
        } else if is_manifest(&path) {
            found.push(path);
        }
        if found.len() > MAX_FILES {
            return Err(failed(format!("has more than {MAX_FILES} manifests")));
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> String {
        format!("kind: TargetGroup\nname: {name}\nprotocol: HTTP\nport: 80\n")
    }

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn mistakes(paths: &[String]) -> Vec<String> {
        match read(paths) {
            Err(Error::Manifests(mistakes)) => mistakes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_is_its_manifests_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let nested = format!("{}---\n{}", group("b"), group("c"));
        write(
            folder.path(),
            &[
                ("2.yaml", &group("d")),
                ("1/x.yml", &nested),
                (
                    "0.json",
                    r#"{"kind": "TargetGroup", "name": "a", "protocol": "HTTP", "port": 80}"#,
                ),
                ("notes.txt", "no manifest"),
                (".hidden/x.yaml", "no: manifest"),
                ("empty.yaml", "# nothing\n"),
            ],
        );
        let path = folder.path().to_str().unwrap();
        let written = read(&[path.to_owned()]).unwrap();
        let names: Vec<_> = written
            .iter()
            .map(|one| one.document.resource.key().unwrap().name)
            .collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let lines: Vec<_> = written
            .iter()
            .map(|one| one.origin.strip_prefix(path).unwrap())
            .collect();
        assert_eq!(
            lines,
            ["/0.json:1", "/1/x.yml:1", "/1/x.yml:6", "/2.yaml:1"]
        );
    }

    #[test]
    fn all_mistakes_of_all_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        write(
            folder.path(),
            &[
                ("a.yaml", "kind: TargetGrup\n"),
                (
                    "b.yaml",
                    "kind: TargetGroup\nname: b\nprotocol: HTTP\nprot: 80\n",
                ),
                ("c.yaml", ""),
                ("d.yaml", "\u{0}"),
            ],
        );
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let paths: Vec<_> = ["a.yaml", "b.yaml", "c.yaml", "gone.yaml"].map(path).into();
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        let paths = [paths, vec![path("empty")]].concat();
        let found = mistakes(&paths).join("\n");
        for said in [
            "a.yaml:1: kind: unknown kind 'TargetGrup': did you mean 'TargetGroup'?",
            "b.yaml:4: TargetGroup b: prot: unknown field 'prot': did you mean 'port'?",
            "c.yaml: has no documents",
            "empty: has no documents: no .yaml, .yml or .json file with one",
            "gone.yaml: No such file or directory",
        ] {
            assert!(found.contains(said), "'{said}' is not in\n{found}");
        }
    }

    #[test]
    fn a_file_of_a_field_is_looked_for_beside_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("certs/a.pem", "the chain")]);
        assert_eq!(
            read_field(folder.path(), "certs/a.pem").unwrap(),
            "the chain"
        );
        let error = read_field(folder.path(), "certs/b.pem").unwrap_err();
        assert_eq!(error, "No such file or directory");
    }

    #[test]
    fn what_is_too_large_or_no_text_is_refused() {
        assert_eq!(text(&b"abc"[..], 3).unwrap(), "abc");
        assert_eq!(text(&b"abcd"[..], 3).unwrap_err(), "has more than 3 bytes");
        assert_eq!(text(&b"\xff"[..], 3).unwrap_err(), "is not text in UTF-8");
    }

    #[test]
    fn standard_input_is_read_once() {
        let error = read(&["-".to_owned(), "-".to_owned()]).unwrap_err();
        assert_eq!(error.status(), 2);
    }
}

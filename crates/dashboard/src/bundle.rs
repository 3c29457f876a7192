//! Joins the modules of the page into one script: one request instead of thirty, and a quarter fewer bytes, as one
//! compressed file repeats what thirty would each begin anew. Nothing is parsed but whole lines, of the forms that the
//! modules use: a test holds them to these.

/// What a line of a module means to others.
#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// `import NAMES from "./FILE";`
    Import {
        names: &'a str,
        file: &'a str,
    },
    /// `export const NAME …`, and the rest of the line without `export`.
    Export {
        name: &'a str,
        rest: &'a str,
    },
    /// `export default …`
    Default {
        rest: &'a str,
    },
    Other(&'a str),
}

fn parse(line: &str) -> Line<'_> {
    if let Some((names, file)) = line
        .strip_prefix("import ")
        .and_then(|rest| rest.split_once(" from \"./"))
    {
        let file = file.trim_end_matches("\";");
        return Line::Import { names, file };
    }
    if let Some(rest) = line.strip_prefix("export default ") {
        return Line::Default { rest };
    }
    let Some(rest) = line.strip_prefix("export ") else {
        return Line::Other(line);
    };
    let name = ["const ", "function ", "async function ", "class "]
        .iter()
        .find_map(|keyword| rest.strip_prefix(keyword))
        .and_then(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
        .unwrap_or_default();
    Line::Export { name, rest }
}

/// The script that does what the module `entry` does with all that it imports. Files that are not among `modules` stay
/// modules of their own.
pub(crate) fn bundle(modules: &[(&str, &str)], entry: &str) -> String {
    let mut order = Vec::new();
    let mut outside = Vec::new();
    sort(modules, entry, &mut order, &mut outside);
    let mut script = String::new();
    for file in outside {
        script += &format!("import * as {} from \"./{file}\";\n", variable(file));
    }
    for file in order {
        let source = source(modules, file).unwrap_or_default();
        write_module(&mut script, file, source);
    }
    script
}

/// `file` after everything that it imports.
fn sort<'a>(modules: &[(&'a str, &'a str)], file: &'a str, order: &mut Vec<&'a str>, outside: &mut Vec<&'a str>) {
    let Some(source) = source(modules, file) else {
        if !outside.contains(&file) {
            outside.push(file);
        }
        return;
    };
    for line in source.lines() {
        if let Line::Import { file, .. } = parse(line)
            && !order.contains(&file)
        {
            sort(modules, file, order, outside);
        }
    }
    if !order.contains(&file) {
        order.push(file);
    }
}

fn source<'a>(modules: &[(&'a str, &'a str)], file: &str) -> Option<&'a str> {
    modules
        .iter()
        .find(|(name, _)| *name == file)
        .map(|(_, source)| *source)
}

/// A module as the value of a constant: a function has its names to itself.
fn write_module(script: &mut String, file: &str, source: &str) {
    let mut body = String::new();
    let mut exports = Vec::new();
    for line in condensed(source).lines() {
        let line = match parse(line) {
            Line::Import { names, file } if names.starts_with('{') => format!("const {names} = {};", variable(file)),
            Line::Import { names, file } => format!("const {names} = {}.default;", variable(file)),
            Line::Export { name, rest } => {
                exports.push(name.to_owned());
                rest.to_owned()
            }
            Line::Default { rest } => {
                exports.push("default: $default".to_owned());
                format!("const $default = {rest}")
            }
            Line::Other(line) => line.to_owned(),
        };
        body.push_str(&line);
        body.push('\n');
    }
    let (variable, exports) = (variable(file), exports.join(", "));
    *script += &format!("const {variable} = (() => {{\n{body}return {{ {exports} }};\n}})();\n");
}

/// `view.js` is `$view`.
fn variable(file: &str) -> String {
    format!("${}", file.trim_end_matches(".js"))
}

/// Without comments that have a line of their own, and without indentation.
pub(crate) fn condensed(source: &str) -> String {
    let lines = source
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::MODULES;

    #[test]
    fn a_module_comes_after_what_it_imports() {
        let modules = [
            (
                "main.js",
                "import { one } from \"./a.js\";\nimport lib from \"./lib.js\";\n// Start.\n  lib(one);\n",
            ),
            (
                "a.js",
                "import two from \"./b.js\";\nexport const one = two + 1;\nexport function f() {}\n",
            ),
            ("b.js", "export default 1;\n"),
        ];
        let expected = "import * as $lib from \"./lib.js\";\n\
            const $b = (() => {\nconst $default = 1;\nreturn { default: $default };\n})();\n\
            const $a = (() => {\nconst two = $b.default;\nconst one = two + 1;\nfunction f() {}\nreturn { one, f };\n})();\n\
            const $main = (() => {\nconst { one } = $a;\nconst lib = $lib.default;\nlib(one);\nreturn {  };\n})();\n";
        assert_eq!(bundle(&modules, "main.js"), expected);
    }

    #[test]
    fn the_modules_of_the_page_have_only_lines_of_these_forms_and_no_cycle() {
        for (file, source) in MODULES {
            for line in source.lines() {
                let begins = |word: &str| line.trim_start().starts_with(word);
                match parse(line) {
                    Line::Import { names, file: other } => {
                        assert!(
                            other.ends_with(".js") && line.ends_with("\";") && !names.contains(" as "),
                            "{file}: {line}"
                        );
                    }
                    Line::Export { name, .. } => assert!(!name.is_empty(), "{file}: {line}"),
                    Line::Default { .. } => {}
                    Line::Other(_) => {
                        assert!(
                            !begins("import ") && !begins("export ") && !begins("/*"),
                            "{file}: {line}"
                        );
                    }
                }
            }
        }
        let script = bundle(MODULES, "main.js");
        let defined_at = |name: &str| {
            script
                .find(&format!("const {name} = ("))
                .or_else(|| script.find(&format!("* as {name} ")))
        };
        for (file, _) in MODULES {
            assert!(
                defined_at(&variable(file)).is_some(),
                "{file} is imported by no other module"
            );
        }
        for (at, _) in script.match_indices("} = $") {
            let name: String = script[at + 4..].chars().take_while(|c| *c != ';').collect();
            assert!(
                defined_at(&name).is_some_and(|defined| defined < at),
                "{name} is used before its definition: a cycle"
            );
        }
    }
}

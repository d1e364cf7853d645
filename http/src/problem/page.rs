//! The pages that explain problems: a small part of Markdown, as HTML.

/// Renders a page of headings, paragraphs, `-` lists, fenced code and inline code.
pub(crate) fn render_page(title: &str, markdown: &str) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{}</title>\n\
         <style>body{{font:1rem/1.5 sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}}\
         pre{{overflow:auto;padding:1rem;background:#f4f4f4}}</style>\n",
        escape(title)
    );
    for block in blocks(markdown) {
        html.push_str(&block.to_html());
        html.push('\n');
    }
    html.push_str("</html>\n");
    html
}

enum Block<'a> {
    Heading(usize, &'a str),
    Paragraph(Vec<&'a str>),
    List(Vec<String>),
    Code(Vec<&'a str>),
}

impl Block<'_> {
    fn to_html(&self) -> String {
        match self {
            Self::Heading(level, text) => format!("<h{level}>{}</h{level}>", inline(text)),
            Self::Paragraph(lines) => format!("<p>{}</p>", inline(&lines.join(" "))),
            Self::List(items) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| format!("<li>{}</li>", inline(item)))
                    .collect();
                format!("<ul>{}</ul>", items.concat())
            }
            Self::Code(lines) => format!("<pre><code>{}</code></pre>", escape(&lines.join("\n"))),
        }
    }
}

fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    let mut open = false;
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            blocks.push(Block::Code(
                lines
                    .by_ref()
                    .take_while(|line| !line.starts_with("```"))
                    .collect(),
            ));
            open = false;
        } else if line.is_empty() {
            open = false;
        } else if let Some(text) = line.strip_prefix("# ") {
            blocks.push(Block::Heading(1, text));
        } else if let Some(text) = line.strip_prefix("## ") {
            blocks.push(Block::Heading(2, text));
        } else if let Some(item) = line.strip_prefix("- ") {
            match blocks.last_mut() {
                Some(Block::List(items)) if open => items.push(item.to_owned()),
                _ => blocks.push(Block::List(vec![item.to_owned()])),
            }
            open = true;
        } else {
            match blocks.last_mut() {
                Some(Block::Paragraph(text)) if open => text.push(line),
                Some(Block::List(items)) if open => {
                    if let Some(item) = items.last_mut() {
                        item.push(' ');
                        item.push_str(line.trim_start());
                    }
                }
                _ => blocks.push(Block::Paragraph(vec![line])),
            }
            open = true;
        }
    }
    blocks
}

/// Escapes text and sets what stands between backticks as code.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| {
            if index % 2 == 1 {
                format!("<code>{}</code>", escape(part))
            } else {
                escape(part)
            }
        })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_headings_lists_and_code_and_escapes_the_rest() {
        let html = render_page(
            "T",
            "# Title\n\nOne `a<b`\nline & more.\n\n- first\n  goes on\n- second\n\n```json\n{\"a\": 1}\n```\n",
        );
        for part in [
            "<h1>Title</h1>",
            "<p>One <code>a&lt;b</code> line &amp; more.</p>",
            "<ul><li>first goes on</li><li>second</li></ul>",
            "<pre><code>{&quot;a&quot;: 1}</code></pre>",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }
}

//! What a person wants to know when the cluster is up.

use std::time::Duration;

use super::admin::Admin;
use super::data_dir::DataDir;
use super::member::Member;
use crate::config::Config;
use crate::terminal;

/// Prints the line that scripts wait for, then the nodes, the administrator,
/// where mail goes, and three commands to try.
pub(super) fn print(members: &[Member], admin: &Admin, config: &Config, data_dir: &DataDir, took: Duration) {
    let cluster_file = data_dir.cluster_file();
    terminal::say(format_args!(
        "ready in {:.1} s: {} {}, listed in {}",
        took.as_secs_f64(),
        members.len(),
        if members.len() == 1 { "node" } else { "nodes" },
        cluster_file.display()
    ));
    let mut table = terminal::table(["node", "API", "ops", "roles", "pid"]);
    for member in members {
        let node = member.describe();
        let roles: Vec<&str> = member.plan.roles.iter().map(|role| role.name()).collect();
        table.add_row([
            node.name,
            node.api.unwrap_or_else(|| "-".to_owned()),
            node.ops,
            roles.join(" "),
            node.pid.to_string(),
        ]);
    }
    terminal::say(&table);
    terminal::say(format_args!("\n{admin}"));
    terminal::say(match (&config.mail.smtp_url, &config.mail.spool_dir) {
        (Some(_), _) => "Mail: sent through the relay in the settings".to_owned(),
        (None, spool) => {
            let directory = spool.clone().unwrap_or_else(|| data_dir.mail_dir());
            format!("Mail: not sent, but written to {}", directory.display())
        }
    });
    let Some(api) = members.iter().find_map(|member| member.describe().api) else {
        return;
    };
    let login = match admin {
        Admin::InFile { path, .. } => format!("@{}", shell_quoted(&path.display().to_string())),
        Admin::FromEnvironment { .. } | Admin::Elsewhere => CUSTOMER.to_owned(),
    };
    terminal::say(format_args!(
        "\nTry it:\n  \
         curl -s {api}/v1/products\n  \
         curl -s {api}/v1/auth/register -H 'content-type: application/json' -d {CUSTOMER}\n  \
         curl -s {api}/v1/auth/login -H 'content-type: application/json' -d {login}\n\
         \nStop it with Ctrl-C."
    ));
}

/// A body for registering and for logging in.
const CUSTOMER: &str = r#"'{"email":"ada@example.com","password":"an-engine-of-analysis"}'"#;

/// Quotes `text` where the shell would split it.
fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::shell_quoted;

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(shell_quoted("/srv/shop/a.json"), "/srv/shop/a.json");
        assert_eq!(shell_quoted("/a b/it's"), r"'/a b/it'\''s'");
    }
}

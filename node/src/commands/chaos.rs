//! `holdfast chaos`

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

#[cfg(feature = "fault-points")]
use crate::chaos::Mutation;
use crate::chaos::{ChaosOptions, FaultKind, run};
use crate::config::Config;
use crate::{runtime, telemetry, terminal};

/// What is logged if nothing else is asked for. That connections to a database
/// break that is being killed is no news.
const LOGGED: &str = "warn,sqlx_core::pool=error";

/// Clients for each node, unless another number is asked for.
const CLIENTS: u32 = 4;

/// Try to break a cluster of its own, then look for damage.
///
/// Launches nodes and a database, puts load on them, inflicts faults, checks
/// what everybody was told against what is stored, and writes a report. Exits 1
/// if a promise was broken.
#[derive(Debug, Args)]
pub struct Chaos {
    /// How long the load lasts
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(4..=540))]
    seconds: u64,
    /// Operations a second
    #[arg(long, value_name = "R", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=2000))]
    rate: u32,
    /// Clients for each node, who have one operation under way each
    #[arg(long, value_name = "N", default_value_t = CLIENTS, value_parser = clap::value_parser!(u32).range(1..=64))]
    clients: u32,
    /// Repeats the choices of another run [default: drawn]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What may go wrong: `all`, or some of kill, pause, pause-sent, one-way,
    /// two-way, isolate, no-database, pg-kill, pg-fast, pg-immediate, pg-stop,
    /// pool, slow-disk, rolling, upgrade, clock
    #[arg(long, value_name = "FAULTS", value_delimiter = ',', default_value = "all")]
    faults: Vec<FaultArg>,
    /// Let two things go wrong at a time
    #[arg(long)]
    pairs: bool,
    /// Another build of holdfast, of the release before or after this one, that
    /// `upgrade` restarts nodes as; it must know the settings [default: this
    /// build, speaking the wire version before]
    #[arg(long, value_name = "PROGRAM")]
    other_build: Option<PathBuf>,
    /// How many nodes [default: as many as the settings list]
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "chaos.html")]
    report: PathBuf,
    /// Settings [default: cluster.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the cluster is kept [default: a temporary directory, removed if
    /// nothing is found]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What is taken away that holds the promises, to see that this is noticed
    #[cfg(feature = "fault-points")]
    #[arg(long, value_name = "GUARD", hide = true)]
    without: Option<Mutation>,
}

/// A part of `--faults`.
#[derive(Clone, Copy, Debug)]
enum FaultArg {
    All,
    One(FaultKind),
}

impl FromStr for FaultArg {
    type Err = <FaultKind as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            name => name.parse().map(Self::One),
        }
    }
}

impl Chaos {
    /// Fails if a promise was broken.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init(LOGGED)?;
        let config = Config::load(self.config.as_deref())?;
        let seed = self.seed.unwrap_or_else(rand::random);
        let options = ChaosOptions {
            command: self.again(seed),
            config_file: Config::locate(self.config.as_deref()),
            duration: Duration::from_secs(self.seconds),
            rate: self.rate,
            clients: self.clients as usize,
            faults: self.kinds(),
            in_pairs: self.pairs,
            other_build: self.other_build,
            nodes: self.nodes,
            data_dir: self.data_dir,
            report: self.report,
            seed,
            #[cfg(feature = "fault-points")]
            without: self.without,
        };
        terminal::remark(format_args!("seed {seed}"));
        let kept = runtime::on_all_cores(run(&options, config))?;
        Ok(if kept == Some(true) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn kinds(&self) -> Vec<FaultKind> {
        let mut kinds = Vec::new();
        for argument in &self.faults {
            match argument {
                FaultArg::All => kinds.extend(FaultKind::ALL),
                FaultArg::One(kind) => kinds.push(*kind),
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Writes down the command that makes the same choices.
    fn again(&self, seed: u64) -> String {
        let mut words = vec![
            "holdfast chaos".to_owned(),
            format!("--seconds {} --rate {} --seed {seed}", self.seconds, self.rate),
        ];
        if self.clients != CLIENTS {
            words.push(format!("--clients {}", self.clients));
        }
        let kinds = self.kinds();
        if kinds.len() < FaultKind::ALL.len() {
            let names: Vec<&str> = kinds.into_iter().map(FaultKind::name).collect();
            words.push(format!("--faults {}", names.join(",")));
        }
        if self.pairs {
            words.push("--pairs".to_owned());
        }
        if let Some(build) = &self.other_build {
            words.push(format!("--other-build {}", build.display()));
        }
        words.extend(self.nodes.map(|nodes| format!("--nodes {nodes}")));
        #[cfg(feature = "fault-points")]
        words.extend(self.without.map(|guard| format!("--without {}", guard.name())));
        if let Some(config) = &self.config {
            words.push(format!("--config {}", config.display()));
        }
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Chaos;
    use crate::chaos::FaultKind;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        chaos: Chaos,
    }

    fn chaos(arguments: &str) -> Chaos {
        let arguments = ["chaos"].into_iter().chain(arguments.split_whitespace());
        Command::parse_from(arguments).chaos
    }

    #[test]
    fn the_command_that_repeats_a_run_parses_to_the_same_run() {
        for arguments in [
            "--seed 7",
            "--seconds 8 --rate 20 --clients 9 --seed 9 --faults kill,pg-fast --pairs --other-build b --nodes 2 --config c.toml",
            "--seed 1 --without early-answers",
        ] {
            let first = chaos(arguments);
            let again = first.again(first.seed.unwrap());
            let second = chaos(again.strip_prefix("holdfast chaos").unwrap());
            assert_eq!(again, second.again(second.seed.unwrap()));
            assert_eq!(first.kinds(), second.kinds());
        }
    }

    #[test]
    fn faults_are_all_or_those_that_are_named() {
        assert_eq!(chaos("").kinds(), FaultKind::ALL);
        assert_eq!(
            chaos("--faults pool,kill,pool").kinds(),
            [FaultKind::Kill, FaultKind::Pool]
        );
        let refused = Command::try_parse_from(["chaos", "--faults", "kill,flood"]).unwrap_err();
        assert!(refused.to_string().contains("slow-disk"), "{refused}");
    }

    #[test]
    fn the_help_names_the_whole_menu() {
        use clap::CommandFactory;

        let help = Command::command().render_long_help().to_string();
        for kind in FaultKind::ALL {
            assert!(help.contains(kind.name()), "{kind} is missing");
        }
    }
}

//! What a night is called, and when it ends.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use spec::nightly::Timezone;

/// This second.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// `now` by the calendar that names nights.
pub fn in_zone(now: Timestamp, zone: Timezone) -> ZonedDateTime {
    match zone {
        Timezone::Local => now.to_zoned_datetime(TimeZone::system()),
        Timezone::Utc => now.to_zoned_datetime(TimeZone::UTC),
    }
}

/// A night is called after the day on which it starts; a further one of that day has a number. `taken`
/// says whether there is one of a name.
pub fn name(started: &ZonedDateTime, taken: impl Fn(&str) -> bool) -> String {
    let day = started.date().to_string();
    let numbered = (2_u32..).map(|number| format!("{day}.{number}"));
    let mut names = std::iter::once(day.clone()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or(day)
}

/// When a night ends at the latest; absent: when all is done.
pub fn until(started: Timestamp, budget: Option<Duration>) -> Option<Timestamp> {
    // A budget without end is none.
    started.checked_add(budget?).ok()
}

/// How long it is until `until`; nothing when it is over.
pub fn left(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &str, utc: &str) -> ZonedDateTime {
        let now: Timestamp = utc.parse().unwrap();
        now.to_zoned_datetime(TimeZone::get(zone).unwrap())
    }

    #[test]
    fn a_night_is_called_after_the_day_on_which_it_starts() {
        let table = [
            ("Europe/Berlin", "2026-11-26T22:59:59Z", "2026-11-26"),
            ("Europe/Berlin", "2026-11-26T23:00:00Z", "2026-11-27"),
            ("America/Los_Angeles", "2026-11-27T07:00:00Z", "2026-11-26"),
            ("Pacific/Kiritimati", "2026-12-31T10:00:00Z", "2027-01-01"),
            // The hour that comes twice, and the one that never comes.
            ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25"),
            ("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25"),
            ("Europe/Berlin", "2026-03-29T01:30:00Z", "2026-03-29"),
            ("UTC", "2028-02-29T12:00:00Z", "2028-02-29"),
        ];
        for (zone, utc, expected) in table {
            assert_eq!(name(&at(zone, utc), |_| false), expected, "{zone} {utc}");
        }
    }

    #[test]
    fn nights_of_one_day_have_names_of_their_own() {
        let started = at("UTC", "2026-11-26T22:00:00Z");
        let mut names: Vec<String> = Vec::new();
        for _ in 0..3 {
            names.push(name(&started, |name| names.iter().any(|taken| taken == name)));
        }
        assert_eq!(names, ["2026-11-26", "2026-11-26.2", "2026-11-26.3"]);
    }

    #[test]
    fn a_night_ends_its_budget_after_its_start_whatever_clocks_do_meanwhile() {
        // Clocks are set back in this night: eight hours are eight hours.
        let started: Timestamp = "2026-10-24T22:00:00Z".parse().unwrap();
        let until = until(started, Some(Duration::from_secs(8 * 3600))).unwrap();
        assert_eq!(until.to_string(), "2026-10-25T06:00:00Z");
        assert_eq!(left(until, started), Duration::from_secs(8 * 3600));
        assert_eq!(left(started, until), Duration::ZERO);
        assert_eq!(super::until(started, None), None);
        assert_eq!(super::until(started, Some(Duration::MAX)), None);
    }
}

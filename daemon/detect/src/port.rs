//! Sets of ports, as rule headers name them.

use crate::interval::IntervalSet;
use crate::space::Space;

/// A set of ports.
pub(crate) type PortSet = IntervalSet<u16>;

impl Space for PortSet {
    const KIND: &'static str = "port";

    fn none() -> Self {
        Self::empty()
    }

    fn all() -> Self {
        Self::full()
    }

    fn is_none(&self) -> bool {
        self.is_empty()
    }

    fn union(self, other: &Self) -> Self {
        Self::union(self, other)
    }

    fn minus(&self, other: &Self) -> Self {
        Self::minus(self, other)
    }

    fn single(text: &str) -> Result<Self, String> {
        let port = |text: &str, open: u16| match text.trim() {
            "" => Some(open),
            text => text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())),
        };
        let (first, last) = match text.split_once(':') {
            Some((first, last)) if !(first.trim().is_empty() && last.trim().is_empty()) => {
                (port(first, 0), port(last, u16::MAX))
            }
            Some(_) => (None, None),
            None => (port(text, 0), port(text, 0)),
        };
        match (first, last) {
            (Some(first), Some(last)) if first <= last => Ok(Self::span(first, last)),
            (Some(_), Some(_)) => Err(format!("the port range `{text}` does not ascend")),
            _ => Err(format!("`{text}` is not a port or a range of ports (0 to 65535)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::space::parse;

    fn ports(text: &str) -> Result<PortSet, (usize, String)> {
        let variables = BTreeMap::from([("HTTP".to_owned(), "[80,81:83,!82]".to_owned())]);
        parse::<PortSet>(text, 0, &variables).map(|named| named.set).map_err(|fault| (fault.at, fault.reason))
    }

    #[test]
    fn groups_name_ports() {
        let check =
            |text: &str, spans: &[(u16, u16)]| assert_eq!(ports(text).unwrap().spans(), spans, "{text}");
        check("any", &[(0, 65_535)]);
        check("80", &[(80, 80)]);
        check("1024:", &[(1024, 65_535)]);
        check(":1023", &[(0, 1023)]);
        check("5:9", &[(5, 9)]);
        check("!80", &[(0, 79), (81, 65_535)]);
        check("[80,443, 8000:8080]", &[(80, 80), (443, 443), (8000, 8080)]);
        check("![445,139]", &[(0, 138), (140, 444), (446, 65_535)]);
        check("[1:10,!5]", &[(1, 4), (6, 10)]);
        check("$HTTP", &[(80, 81), (83, 83)]);
        check("!$HTTP", &[(0, 79), (82, 82), (84, 65_535)]);
    }

    #[test]
    fn faults_are_placed() {
        let check = |text: &str, at: usize, reason: &str| {
            assert_eq!(ports(text).unwrap_err(), (at, reason.to_owned()), "{text}");
        };
        check("70000", 0, "`70000` is not a port or a range of ports (0 to 65535)");
        check("[1,x]", 3, "`x` is not a port or a range of ports (0 to 65535)");
        check("+5", 0, "`+5` is not a port or a range of ports (0 to 65535)");
        check(":", 0, "`:` is not a port or a range of ports (0 to 65535)");
        check("9:5", 0, "the port range `9:5` does not ascend");
        check("[1,!1]", 0, "no port is left in the group");
        check("!any", 0, "no port is left");
        check("$NONE", 0, "port variable `$NONE` is not defined");
    }
}

//! Countries by their ISO 3166-1 alpha-2 codes.

use thiserror::Error;

/// The codes of ISO 3166-1, and `XK`, which databases use for Kosovo.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY \
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB \
    GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI \
    KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ \
    NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI \
    SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN \
    VU WF WS XK YE YT ZA ZM ZW";

/// Why a text is not a country: geo databases would never say it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a country code")]
pub struct CountryError(String);

impl CountryError {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let upper = self.0.to_ascii_uppercase();
        Some(match upper.as_str() {
            "UK" => "write `GB` for the United Kingdom".to_owned(),
            "EU" => "write `continents = [\"EU\"]` for Europe, or the countries one by one".to_owned(),
            known if is_code(known) => format!("write `{known}`"),
            _ => "write two letters in upper case (ISO 3166-1 alpha-2), as in `CH`".to_owned(),
        })
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 2 && CODES.split_ascii_whitespace().any(|code| code == text)
}

/// Reads the code of a country.
///
/// # Errors
/// If it is none of ISO 3166-1, in upper case.
pub fn parse_country(text: &str) -> Result<String, CountryError> {
    if is_code(text) { Ok(text.to_owned()) } else { Err(CountryError(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries() {
        assert_eq!(CODES.split_ascii_whitespace().count(), 250);
        for good in ["CH", "AD", "ZW", "US"] {
            assert_eq!(parse_country(good).as_deref(), Ok(good));
        }
        for (bad, help) in
            [("UK", "`GB`"), ("ch", "write `CH`"), ("EU", "continents"), ("CHE", "two letters"), ("", "two")]
        {
            assert!(parse_country(bad).unwrap_err().help().unwrap().contains(help), "{bad}");
        }
    }
}

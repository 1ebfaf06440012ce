//! Enums whose values are words of a flag: read in any case and with `-` or `_`, written with `-`.

/// A word that is none of the choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not one of {}", .choices.join(", "))]
pub struct UnknownChoice {
    given: String,
    choices: &'static [&'static str],
}

impl UnknownChoice {
    pub(crate) fn new(given: &str, choices: &'static [&'static str]) -> Self {
        Self { given: given.to_owned(), choices }
    }
}

/// Whether a word of a flag means this choice.
pub(crate) fn matches(word: &str, choice: &str) -> bool {
    word.len() == choice.len()
        && word.bytes().zip(choice.bytes()).all(|(given, wanted)| match given {
            b'_' => wanted == b'-',
            _ => given.eq_ignore_ascii_case(&wanted),
        })
}

/// Declares an enum with `FromStr`, `Display`, serde and the list of its words. The first value is the default.
macro_rules! choice {
    ($(#[$meta:meta])* pub enum $name:ident {
        $(#[$first_meta:meta])* $first:ident = $first_word:literal,
        $($(#[$value_meta:meta])* $value:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[$first_meta])*
            #[default]
            $first,
            $($(#[$value_meta])* $value,)*
        }

        impl $name {
            /// The words of the choices, in the order of the documentation.
            pub const WORDS: &'static [&'static str] = &[$first_word $(, $word)*];

            /// The word of this choice.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$value => $word,)*
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::choice::UnknownChoice;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                [Self::$first $(, Self::$value)*]
                    .into_iter()
                    .find(|choice| $crate::choice::matches(word, choice.word()))
                    .ok_or_else(|| $crate::choice::UnknownChoice::new(word, Self::WORDS))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.word().replace('-', "_"))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use choice;

#[cfg(test)]
mod tests {
    choice! {
        /// Test.
        pub enum Order {
            /// A.
            FirstIn = "first-in",
            /// B.
            LastIn = "last-in",
        }
    }

    #[test]
    fn words_are_read_in_any_spelling() {
        for word in ["last-in", "LAST_IN", "Last-In"] {
            assert_eq!(word.parse(), Ok(Order::LastIn));
            assert_eq!(serde_json::from_value::<Order>(word.into()).ok(), Some(Order::LastIn));
        }
        assert_eq!(Order::LastIn.to_string(), "last-in");
        assert_eq!(serde_json::to_value(Order::FirstIn).ok(), Some("first_in".into()));
        let error = "last".parse::<Order>().expect_err("no choice").to_string();
        assert_eq!(error, "`last` is not one of first-in, last-in");
        assert_eq!(Order::default(), Order::FirstIn);
    }
}

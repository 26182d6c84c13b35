//! Enums whose values have a name on the wire.

/// Defines an enum whose values are named on the wire by their variants in snake case, with every value, both conversions and
/// `Display`.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$attribute:meta])* $variant:ident,)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[derive(strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        $(#[$meta])*
        pub enum $name {
            $($(#[$attribute])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of the definition.
            pub const ALL: [$name; [$($name::$variant),*].len()] = [$($name::$variant),*];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                self.into()
            }

            /// The value with this name on the wire.
            pub fn from_name(word: &str) -> Option<$name> {
                word.parse().ok()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

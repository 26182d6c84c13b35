//! The verbs' names, their effects and the rights that they need.

/// Whether a verb changes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerbEffect {
    /// May change tasks, leases, decisions, queues or their records; the change is durable when the answer is sent.
    Change,
    /// Leaves the store as it is. `drain`, `shutdown` and their like change only the hub's process.
    Read,
}

wire_enum! {
    /// A right that a client needs for a verb. Rights are independent; none includes another.
    pub enum Right {
        /// Introduce itself, and learn that the hub answers.
        Connect,
        /// See tasks, agents, pools, metrics and events.
        Observe,
        /// Add tasks; cancel and retry them.
        Enqueue,
        /// Lease tasks and report on their runs.
        Work,
        /// Decide in a person's name: approve, answer, reject.
        Person,
        /// Operate the hub: pause, drain, reload, back up, stop.
        Admin,
    }
}

macro_rules! method {
    ($($(#[$doc:meta])* $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
        /// A verb's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
        }

        impl Method {
            /// Every method, in the order of the reference.
            pub const ALL: [Method; [$(Method::$variant),*].len()] = [$(Method::$variant),*];

            /// The method's name on the wire.
            pub fn name(self) -> &'static str {
                match self {
                    $(Method::$variant => stringify!($module),)*
                }
            }

            /// The method with this name on the wire.
            pub fn from_name(name: &str) -> Option<Method> {
                match name {
                    $(stringify!($module) => Some(Method::$variant),)*
                    _ => None,
                }
            }

            /// Whether the method changes the store.
            pub fn effect(self) -> VerbEffect {
                match self {
                    $(Method::$variant => VerbEffect::$effect,)*
                }
            }

            /// The right that the method needs. A request may need more: [`Request::rights`](crate::Request::rights).
            pub fn right(self) -> Right {
                match self {
                    $(Method::$variant => Right::$right,)*
                }
            }
        }
    };
}

crate::for_each_verb!(method);

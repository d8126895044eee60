use derive_setters::Setters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the Payonce cache in the agent's loop.
#[derive(
    Default, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, fake::Dummy, Setters,
)]
#[serde(rename_all = "snake_case")]
#[setters(into, strip_option)]
pub struct PayonceConfig {
    /// Whether model calls, reads, searches and sub-agents' reports are looked
    /// up in a Payonce server and stored there. Defaults to `false`.
    #[serde(default)]
    pub enabled: bool,

    /// URL of the server: plain HTTP on a loopback address. Defaults to the
    /// variables `PAYONCE_SOCKET` and `PAYONCE_URL`, then to
    /// `http://127.0.0.1:4141`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// Path of the server's Unix socket; wins over `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,

    /// Whether a sub-agent's task in other words may get the stored report,
    /// within the error bound that the server keeps. Defaults to the server's
    /// own setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantic: Option<bool>,
}

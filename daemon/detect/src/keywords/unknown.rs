//! Keywords that are not in the table: those that Suricata has, and those that nobody has.

use crate::error::Fault;
use crate::syntax::RawOption;

/// Keywords of Suricata that need application layers, files, reputation or scripts.
const ELSEWHERE: &[&str] = &[
    "app-layer-event",
    "app-layer-protocol",
    "asn1",
    "base64_data",
    "base64_decode",
    "byte_format",
    "cip_service",
    "config",
    "cyu",
    "datarep",
    "dataset",
    "dce_iface",
    "dce_opnum",
    "dce_stub_data",
    "dnp3_data",
    "dnp3_func",
    "dnp3_ind",
    "dnp3_obj",
    "dns_query",
    "dotprefix",
    "enip_command",
    "entropy",
    "file_data",
    "fileext",
    "filemagic",
    "filemd5",
    "filename",
    "filesha1",
    "filesha256",
    "filesize",
    "filestore",
    "ftpbounce",
    "ftpdata_command",
    "geoip",
    "http2",
    "http_accept",
    "http_accept_enc",
    "http_accept_lang",
    "http_client_body",
    "http_connection",
    "http_content_len",
    "http_content_type",
    "http_cookie",
    "http_header",
    "http_header_names",
    "http_host",
    "http_method",
    "http_protocol",
    "http_raw_header",
    "http_raw_host",
    "http_raw_uri",
    "http_referer",
    "http_request_line",
    "http_response_line",
    "http_server_body",
    "http_start",
    "http_stat_code",
    "http_stat_msg",
    "http_uri",
    "http_user_agent",
    "iprep",
    "ja3_hash",
    "ja3_string",
    "krb5_cname",
    "krb5_err_code",
    "krb5_msg_type",
    "krb5_sname",
    "l3_proto",
    "lua",
    "luajit",
    "luaxform",
    "modbus",
    "nfs_procedure",
    "nfs_version",
    "pcrexform",
    "pkt_var",
    "prefilter",
    "replace",
    "rpc",
    "smb_named_pipe",
    "smb_share",
    "snmp_community",
    "snmp_version",
    "ssh_proto",
    "ssh_software",
    "ssl_state",
    "ssl_version",
    "strip_pseudo_headers",
    "strip_whitespace",
    "tag",
    "tls_cert_expired",
    "tls_cert_fingerprint",
    "tls_cert_issuer",
    "tls_cert_notafter",
    "tls_cert_notbefore",
    "tls_cert_serial",
    "tls_cert_subject",
    "tls_cert_valid",
    "tls_sni",
    "to_lowercase",
    "to_md5",
    "to_sha1",
    "to_sha256",
    "to_uppercase",
    "uricontent",
    "url_decode",
    "urilen",
    "vlan",
    "xor",
];

/// First parts of such keywords that have a dot.
const FAMILIES: &[&str] = &[
    "bittorrent",
    "bsize",
    "dcerpc",
    "dhcp",
    "dnp3",
    "dns",
    "email",
    "enip",
    "file",
    "ftp",
    "http",
    "http1",
    "http2",
    "icmpv4",
    "ike",
    "ja3",
    "ja3s",
    "ja4",
    "krb5",
    "ldap",
    "mdns",
    "mime",
    "mqtt",
    "nfs",
    "pgsql",
    "quic",
    "rfb",
    "sip",
    "smb",
    "smtp",
    "snmp",
    "ssh",
    "tls",
    "vlan",
    "websocket",
];

/// Most edits between a keyword and what was perhaps meant for it.
const EDITS_MAX: usize = 2;

/// Why `option` is refused.
pub(super) fn fault<'a>(option: &RawOption<'_>, names: impl Iterator<Item = &'a &'static str>) -> Fault {
    let name = option.name;
    let family = name.split_once('.').is_some_and(|(family, _)| FAMILIES.contains(&family));
    if family || ELSEWHERE.contains(&name) {
        return Fault::new(option.at, format!("keyword `{name}` is not supported"));
    }
    // What is no word is rather the rest of an option that ended too early.
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !word {
        return Fault::following(option.at, format!("unknown keyword `{name}`"));
    }
    let lower = name.to_ascii_lowercase();
    let near = names
        .chain(ELSEWHERE)
        .map(|known| (strsim::osa_distance(&lower, known), *known))
        .filter(|&(edits, known)| edits <= EDITS_MAX && edits * 2 < known.len())
        .min();
    let help = near.map(|(_, known)| format!("did you mean `{known}`?"));
    Fault::new(option.at, format!("unknown keyword `{name}`")).with_help(help)
}

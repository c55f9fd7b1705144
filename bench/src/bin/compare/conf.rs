//! What nginx and haproxy are told: the fastest plain proxy that they can be.

use std::net::SocketAddr;
use std::path::Path;

/// The upstream: small answers from memory, large ones from files in `files`.
pub(crate) fn upstream(listen: SocketAddr, files: &Path) -> String {
    let small = "x".repeat(1024);
    let files = files.display();
    nginx(&format!(
        "sendfile on; open_file_cache max=16; client_body_buffer_size 64k;
server {{ listen {listen} backlog=4096;
location /1k {{ return 200 '{small}'; }}
location /64k {{ root {files}; }}
location /post {{ client_max_body_size 1m; return 200 'ok'; }} }}"
    ))
}

/// nginx as a proxy; with `headers` it sets those that Ferryway sets.
pub(crate) fn nginx_proxy(listen: SocketAddr, upstream: SocketAddr, headers: bool) -> String {
    let headers = if headers { NGINX_HEADERS } else { "" };
    nginx(&format!(
        "upstream u {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
server {{ listen {listen} backlog=4096;
location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection '';
client_body_buffer_size 64k; {headers} }} }}"
    ))
}

/// haproxy, likewise.
pub(crate) fn haproxy(listen: SocketAddr, upstream: SocketAddr, headers: bool) -> String {
    let headers = if headers { HAPROXY_HEADERS } else { "" };
    format!(
        "global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend f
  bind {listen}
{headers}  default_backend b
backend b
  server s {upstream} pool-max-conn 1000
"
    )
}

fn nginx(server: &str) -> String {
    format!(
        "daemon off; worker_processes 1;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
{server}
}}
"
    )
}

const NGINX_HEADERS: &str = "proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
proxy_set_header X-Forwarded-Port $server_port; proxy_set_header Via '1.1 nginx';";

const HAPROXY_HEADERS: &str = "  http-request set-header X-Real-IP %[src]
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header Via '1.1 haproxy'
";

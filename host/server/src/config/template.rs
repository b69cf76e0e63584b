//! The configuration file that `atelier init` writes.

/// Every setting that has to be chosen, with its reason.
pub const TEXT: &str = r#"# Configuration of Atelier. Every setting can be overridden by the environment:
# ATELIER_SERVER__LISTEN sets [server] listen. `atelier doctor --config FILE` checks it all.

[server]
listen = "127.0.0.1:8484"
# public_url = "https://atelier.example.com"   # how callers and callbacks reach this server

# drain_seconds = 30         # how long running requests may take to end when the server stops
# request_seconds = 600      # until a request is answered, or its stream begins
# stream_idle_seconds = 30   # between two events of a provider's stream
# stream_seconds = 600       # from a stream's begin to its end
# head_seconds = 15          # for a client to send a request's head, also on a connection that it keeps
# body_idle_seconds = 30     # between two pieces of a client's body
# write_idle_seconds = 60    # a client may take nothing of its answer for so long
# ping_seconds = 30          # how often an HTTP/2 client is asked whether it is there
# connections = 10000            # open at once
# connections_per_address = 1000 # of these from one address; through trusted proxies, one client's requests at once
# streams_per_connection = 256   # requests at once on one connection (HTTP/2)
# hosts = ["atelier.example.com"]                 # requests for other hosts are refused
# trusted_proxies = ["10.0.0.0/8", "192.0.2.7"]   # they say for whom a request is; nobody else is believed
# forwarded_header = "x-forwarded-for"            # where they say it; or "forwarded" (RFC 7239). The other one is not read
# insecure_http = true           # callers on other machines may come without TLS, their keys in the clear

# Pages of other origins that may use the API from a browser, each by its whole name.
# [server.cors]
# origins = ["https://app.example.com"]
# credentials = false      # true: with cookies
# max_age_seconds = 600    # for so long a browser remembers what it was told

# TLS 1.2 and 1.3. Without it the server listens on loopback addresses alone.
# [server.tls]
# certificate = "tls/fullchain.pem"   # the server's own certificate, then those that lead to a root; relative to this file
# key = "tls/privkey.pem"             # PKCS#8, SEC1 or PKCS#1, without a passphrase
# hsts_seconds = 31536000             # for so long browsers come over TLS alone; 0: they are not told
# reload_seconds = 10                 # how often the files are looked at; SIGHUP: at once
# handshake_seconds = 10              # for a client to agree, waiting for its turn included
# handshakes = 1000                   # at once
# handshakes_per_address = 100

# How long providers may take.
[upstream]
# connect_seconds = 10
# first_byte_seconds = 300
# idle_seconds = 120

[admin]
listen = "127.0.0.1:8485"   # /health/live, /health/ready, /metrics: keep it private
# insecure_http = true
# [admin.tls]                       # the settings of [server.tls], and:
# client_ca = "tls/operators.pem"   # who signs the certificates without which nobody gets in

[storage]
path = "data"   # relative to this file
# quota_mib = 10240      # of each user's files; as much again may be on the disk of files that they have removed
# quota_files = 100000   # of each user
# uploads_per_user = 8   # under way at once
# grace_hours = 48       # how long content that nothing names is kept
# min_free_mib = 512     # uploads and new jobs are refused while less of the disk is free; 0: never

[log]
format = "json"   # or "text"
level = "info"
# plugins = true   # also plugins' own lines, which may hold what callers sent

# Traces, to a collector that speaks OTLP over HTTP. Without an endpoint nothing is traced.
# [traces]
# endpoint = "http://127.0.0.1:4318/v1/traces"
# headers = { authorization = { env = "OTLP_AUTHORIZATION" } }   # over https alone, but for this machine
# sample_ratio = 1.0       # the share of requests that are recorded
# trust_callers = false    # true: a caller's traceparent is followed, and it decides what is recorded, whoever sends it
# service_name = "atelier"
# resource = { "deployment.environment.name" = "production" }   # what else the collector is told of this server
# timeout_seconds = 10     # for one export
# every_ms = 1000          # how long spans are gathered
# batch_spans = 512        # of one export
# queue_spans = 8192       # that wait; more are dropped and counted

# This server's own errors, as the log tells them, panics and faults in answers included, to a receiver that speaks Sentry's protocol.
# Without a DSN nobody is told.
# [errors]
# dsn = { env = "SENTRY_DSN" }    # https://KEY@HOST/PROJECT; over https alone, but for this machine
# environment = "production"
# release = "atelier@0.1.0"       # this server's version
# timeout_seconds = 10            # for one attempt at one report
# per_minute = 60                 # more are dropped and counted
# queue_reports = 100             # that wait; more are dropped and counted

[local]
enabled = true   # in-house models, as local/…; the published ones' weights are fetched on first use
# card = "auto"                            # chat models run on the first NVIDIA card where they fit it; "off", or a card's number
# card_memory_mib = 16384                  # of the card, for all of them together; absent: all but a headroom of 512
# prefix_mib = 512                         # of a chat model's memory, kept for prompts of a tenant that begin alike; 0: none
# hub = "https://huggingface.co"           # where `atelier model pull` looks for repositories
# hub_token = { env = "HF_TOKEN" }         # for what is not open to all; told to the hub and nobody else
# Models of your own: llamas as GGUF files or folders of safetensors, BERT encoders, Whisper, voices, pictures. `atelier model --help`
# [[local.model]]
# name = "my-llama"                        # listed as local/my-llama
# path = "/srv/models/my-llama.gguf"       # on this machine; or fetched by `atelier model pull my-llama`:
# hub = "OWNER/REPOSITORY"                 # or url = "https://…/", with revision = "main"
# file = "my-llama-q4_k_m.gguf"            # or files = { "model.safetensors" = "…", "config.json" = "…" }
# sha256 = "…"
# memory_mib = 8192                        # where it may take more than [local] memory_mib
# graph_sha256 = "…"                       # of a voice whose graph is not the usual one: that you trust where it is from
# temperature = 0.8                        # of requests that do not say
# top_p = 0.95

[models]
# Names of your own for models: one, a list whose later ones step in where the first cannot be asked, or shares.
# [models.aliases]
# fast = "local/smollm2-135m-instruct"
# safe = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"]
# both = { targets = [{ model = "openai/gpt-4o", weight = 3 }, { model = "local/smollm2-135m-instruct" }], audience = "everyone" }

# Every prompt is judged by a moderation model before it is sent anywhere, jobs' before they are taken; off unless a model is named.
# All words of a request are judged, and its pictures where the model judges pictures; recordings, videos and documents are not.
# [moderation]
# model = "openai/omni-moderation-latest"   # or an alias, whose later targets step in
# except = ["local"]                        # instances that are sent prompts unjudged
# ignore = ["harassment"]                   # categories that are no reason to refuse
# scores = { violence = 0.5 }               # from this score on a category is a reason, whatever the model flags
# on_failure = "refuse"                     # where nobody can judge: "send" sends it all the same
# timeout_seconds = 10                      # for judging one prompt

# What things cost, in whole micro-credits: a million of them is one credit.
[money]
accounting = "record"   # usage and cost are recorded and budgets bind, and nobody needs credits. "enforce": every call is paid from
                        # credits that an administrator granted, and a model without a price is refused
# job_hold = 1000000    # set aside for a job of which nobody knows beforehand what it may use, and its price if nobody tells
                        # afterwards what it used
# call_hold = 100000    # the same for a live call
# allowance = 100000    # set aside at once for a key's live calls, so that few of them wait for the disk
# usage_days = 90       # how long single calls are listed by GET /api/v1/usage; sums by day are kept for good
# Prices are for a million units of a meter, rounded up once for each line of usage. The best match wins: a model's own
# before "openai/gpt-4o*" before "openai/*" before "*".
# [[price]]
# model = "local/*"
# free = true
# [[price]]
# model = "openai/gpt-4o-mini"
# per_million = { input-tokens = 150000, "input-tokens;cached=true" = 75000, output-tokens = 600000 }
# [[price]]
# model = "openai/dall-e-3"
# per_million = { images = 40000000000 }   # 0.04 credits for one
# hold = 80000                             # the most that a job or call costs of which nobody knows what it may use, and
                                           # what it costs if nobody tells afterwards

# People who sign in with a password.
# [accounts]
# session_idle_hours = 24   # a session ends when it is not used for so long
# session_days = 30         # and then, however often it is used
# provider_keys = false     # nobody may bring a key of their own for a provider, `/api/v1/provider-keys`
# sign_up = true            # anybody may sign up with an e-mail address; needs [mail]. With [money] accounting = "record" they pay nothing
# sign_ups_per_hour = 3     # from one IP address
# mails_per_10_minutes = 5  # asked for from one IP address
# mailbox_per_hour = 3      # to one mailbox, of each kind
# administrators = ["ada@atelier.dev"]   # users with these e-mail addresses, once they are verified
# verify_page = "https://atelier.example.com/verify#{token}"   # pages of yours, below public_url, that mails lead to; without them
# reset_page = "https://atelier.example.com/reset#{token}"     # a mail has a code

# Secrets in the store (of webhooks, and callers' own keys of providers) are sealed with a key, which is made as sealing.key in the data
# folder unless one is given here. `atelier secrets key` prints a new one.
# [secrets]
# key = { env = "ATELIER_SEALING_KEY" }              # or { file = "PATH" }
# retired_key = { env = "ATELIER_SEALING_KEY_OLD" }  # the one before it; once the server has started with both, leave it out

# The server that takes this server's mail: verifications and forgotten passwords.
# [mail]
# server = "smtp.example.com:587"
# security = "starttls"     # or "tls", usually at port 465; or "none", on this machine alone
# user = "atelier"
# password = { env = "SMTP_PASSWORD" }
# from = "Atelier <noreply@example.com>"
# ca = "tls/mail-ca.pem"    # who signs its certificate, where that is none of the usual authorities

# Requests in any span of that many seconds, for each user.
[limits]
chat = { requests = 60, seconds = 60 }
generation = { requests = 10, seconds = 60 }
transcription = { requests = 20, seconds = 60 }
analysis = { requests = 30, seconds = 60 }
status = { requests = 120, seconds = 60 }

# Conversations that users keep, `/api/v1/conversations`.
# [conversations]
# title_model = "local/smollm2-135m-instruct"   # makes titles, at the user's cost; without it a title is the first words
# per_user = 10000         # conversations of one user
# messages = 2000          # of one conversation, on all its branches
# branch_messages = 1000   # from the first to the last
# branch_kib = 4096        # of text, from the first to the last
# message_kib = 256        # of text in one question
# user_mib = 1024          # of all conversations of one user, with the files in them

# Who administered what, and what was refused, for `GET /api/v1/admin/audit`.
# [audit]
# keep_days = 365

# What is kept of what happened to jobs, for `GET /api/v1/events`.
# [events]
# keep_days = 7
# keep_per_user = 10000
# feeds_per_user = 16   # open at once

# Outgoing webhooks go to public addresses over https.
# [webhooks]
# private_hosts = ["10.0.0.7:8080"]   # named hosts that may be told nevertheless
# attempt_seconds = 15
# keep_days = 30                      # how long deliveries are listed

# The only addresses from which an instance's provider may call back, as this server sees them.
# [callbacks]
# senders = { replicate = ["203.0.113.0/24"] }
# Generations that go on in the background. Users take turns; the queue is full at the bounds on what waits and runs.
[jobs]
# queued = 10000              # jobs that have not ended, of all users
# queued_per_user = 100
# running_per_user = 16       # jobs at their providers
# running_per_instance = 48
# workers = 64                # jobs that take a step at once
# late_seconds = 60           # the server is not ready while a job waits for a worker for longer; 0: however long

# Answers of `/v1/responses` are kept, unless a request says otherwise, so that later ones can go on from them. They count to the
# user's quota.
# [responses]
# store = true
# keep_days = 30
# chain = 256     # answers that one request goes on from

# Files of requests that are run in the background, few at a time.
# [batches]
# running = 8             # requests at once, of all batches
# running_per_batch = 4
# open_per_user = 16      # batches that have not ended

[plugins]
trust = "strict"   # only plugins signed by a key below; "warn" or "off" let others in
# [[plugins.trusted_keys]]
# publisher = "example"
# key = "RW…"

# A provider: its name begins its models' ids.
# [[instance]]
# name = "openai"
# plugin = "atelier/openai"
# base_url = "https://api.openai.com/v1"
# secrets = { api-key = { env = "OPENAI_API_KEY" } }

# What one call into a plugin may use.
[sandbox]
memory_mib = 64
table_elements = 100000
stack_kib = 512
cpu_ms = 5000
wall_ms = 600000
response_mib = 64
blob_mib = 512
log_kib = 64
open_requests = 8
requests = 64
handles = 1024
host_call_memory_mib = 32
host_calls = 1000000
concurrent_calls = 1000   # over all plugins
slow_lane_calls = 64      # over all plugins: calls that compute for long
slow_lane_threads = 2
cache_mib = 8             # for each instance
"#;

# What a developer runs by hand; .ci/run is what must pass.
.PHONY: build test lint bench torture

build:
	cargo build --release --locked -p kirosu -p kirosu-load

test:
	cargo test --workspace --all-features

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings

# Speed, beside Redis where redis-server is installed: minutes of work, on a quiet machine.
# BENCH='--only a,b --runs 5' chooses; `kirosu-bench --help` lists the rest.
bench: build
	target/release/kirosu-bench --binary target/release/kirosu $(BENCH)

# kill -9 under load, again and again, then the checker. TORTURE='--seed 7 --kills 20' chooses.
torture: build
	target/release/kirosu-torture --binary target/release/kirosu $(TORTURE)

"""The command line: starts PyTake, and does what is done once on a server."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pytake_gql import app as web
from pytake_gql import bootstrap, embedded, migration, worker
from pytake_gql.development import check, demo, run
from pytake_gql.development.client import RequestFailed
from pytake_gql.development.simulate import Simulation, Tally
from pytake_gql.embedded import EmbeddedServerError
from pytake_gql.kernel import logs
from pytake_gql.kernel.errors import Refusal
from pytake_gql.kernel.settings import Settings, SettingsError, read_settings
from pytake_gql.schema import schema
from pytake_gql.tenancy.auth import passwords, super_admins

SDL = Path(__file__).parents[1] / "schema.graphql"

T = TypeVar("T")

screen = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
commands = typer.Typer(
    name="pytake",
    help=(
        "PyTake: customer service over web chat, behind one GraphQL schema.\n\n"
        "Start with [bold]pytake dev[/bold]: it needs nothing else, and prints where to go."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """What goes wrong for a reason that people can mend is told in a sentence; 2 is a wrong setting, 1 the rest."""
    try:
        commands()
    except SettingsError as error:
        errors.print(str(error), markup=False)
        sys.exit(2)
    except (EmbeddedServerError, RequestFailed, Refusal, run.PortTaken, OSError) as error:
        errors.print(str(error), markup=False)
        sys.exit(1)


@commands.command()
def dev(
    port: Annotated[int, typer.Option(help="Where the API listens, on 127.0.0.1.")] = 8000,
    *,
    check_only: Annotated[
        bool, typer.Option("--check", help="Start on a free port, do one of everything, print OK, stop.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the embedded servers, and keep their data.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Stop the embedded servers, and delete their data.")] = False,
) -> None:
    """Run everything on this machine: servers, migrations, a demo shop, API and worker.

    Without DATABASE_URL and REDIS_URL a real PostgreSQL and a real Valkey are started from wheels; each is decided
    alone. A child that dies is started again. Ctrl-C stops all that was started here; what ran before goes on.
    """
    if stop or reset:
        (embedded.reset if reset else embedded.stop)(bootstrap.servers_directory())
        screen.print("The embedded servers are stopped, their data deleted." if reset else "They are stopped.")
        return
    started = time.monotonic()
    port = run.choose_port(0 if check_only else port)
    before = embedded.running(bootstrap.servers_directory())
    with screen.status("Starting PostgreSQL and Valkey …"):
        lent = bootstrap.servers()
    try:
        environment = {"PYTAKE_PUBLIC_URL": f"http://{run.HOST}:{port}", **lent.environment}
        _refuse_production(settings := read_settings(environment))
        with screen.status("Migrating, and stocking the demo shop …"):
            migration.upgrade(settings.database_url)
            asyncio.run(_plant(settings))

        async def checked(url: str) -> bool:
            for step in await check.check(url):
                screen.print(f"  {step}")
            screen.print("OK")
            return True

        async def shown(url: str) -> bool:
            _show(url, time.monotonic() - started)
            return True

        is_well = asyncio.run(
            run.run(port, environment, errors.print, checked if check_only else shown, watch=not check_only)
        )
    finally:
        if lent.is_ours and not (before.postgres or before.valkey):
            embedded.stop(lent.state)
    raise typer.Exit(0 if is_well else 1)


@commands.command()
def api(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
) -> None:
    """Serve GraphQL at /graphql, over HTTP and websocket, until SIGTERM. One process; run one for each core."""
    settings = bootstrap.settings()
    logs.configure(is_production=settings.is_production)
    web.serve(settings, host, port)


@commands.command("worker")
def run_worker() -> None:
    """Send what is to be sent, until SIGTERM. Any number may run; one that dies loses nothing."""
    settings = bootstrap.settings()
    logs.configure(is_production=settings.is_production)
    uvloop.run(worker.serve(settings))


@commands.command()
def env() -> None:
    """Print the addresses of the embedded servers that run now: `export $(pytake env)`, then `psql $DATABASE_URL`."""
    running = embedded.running(bootstrap.servers_directory())
    if not running.postgres or not running.valkey:
        errors.print("The embedded servers do not run: start them with `pytake dev`.")
        raise typer.Exit(1)
    typer.echo(f"DATABASE_URL={running.postgres.url}")
    typer.echo(f"REDIS_URL={running.valkey.url}")


@commands.command()
def migrate() -> None:
    """Bring the database to the newest migration; the roles and policies come with it. Safe to run again."""
    migration.upgrade(bootstrap.settings().database_url)
    screen.print(f"The database is at {migration.head()}.")


@commands.command("schema")
def write_schema(
    *,
    check_only: Annotated[bool, typer.Option("--check", help="Only compare: 1 when schema.graphql is stale.")] = False,
) -> None:
    """Write schema.graphql, the public contract as the code has it."""
    text = f"{schema.as_str().strip()}\n"
    if not check_only:
        SDL.write_text(text)
    elif not SDL.exists() or SDL.read_text() != text:
        errors.print("schema.graphql is stale: write it with `pytake schema`.")
        raise typer.Exit(1)


@commands.command()
def create_admin(
    email: Annotated[str, typer.Option(prompt="E-mail", help="The address to sign in with.")],
    name: Annotated[str, typer.Option(prompt="Name", help="How colleagues see this person.")],
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password's one line from standard input.")
    ] = False,
) -> None:
    """Make a super admin, who may enter any organization. Whoever has an account keeps its password."""

    async def appoint(settings: Settings) -> None:
        async with bootstrap.ports(settings) as ports:
            password = None
            if not await super_admins.has_account(ports, email):
                password = _password(from_stdin=password_stdin)
            await super_admins.appoint(ports, email=email, name=name, password=password)

    asyncio.run(appoint(bootstrap.settings()))
    screen.print(f"{email} is a super admin.", markup=False)


@commands.command()
def simulate(
    visitors: Annotated[int, typer.Option(min=1, max=500, help="How many people write.")] = 10,
    messages: Annotated[int, typer.Option(min=1, max=50, help="How often each of them writes.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="After that everybody leaves.")] = 120,
    pause: Annotated[float, typer.Option(min=0, max=60, help="Seconds between two messages, about.")] = 2,
    url: Annotated[str, typer.Option(help="Where PyTake runs.")] = "http://127.0.0.1:8000",
    channel: Annotated[str, typer.Option(help="The id of a web-chat channel.")] = demo.CHANNEL,
) -> None:
    """Send visitors who hold conversations through the public web-chat door. Answer them as an agent."""
    simulation = Simulation(url.rstrip("/"), channel, visitors, messages, seconds, pause)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen) as progress:
        bar = progress.add_task(_told(simulation.tally), total=visitors * messages)
        tally = asyncio.run(
            simulation.run(lambda tally: progress.update(bar, description=_told(tally), completed=tally.sent))
        )
    if tally.failures:
        errors.print(f"{len(tally.failures)} visitors failed; the first: {tally.failures[0]}", markup=False)
        raise typer.Exit(1)


def _told(tally: Tally) -> str:
    return f"{tally.visitors} visitors, {tally.sent} messages, {tally.answered} answers, {tally.closed} closed"


def _refuse_production(settings: Settings) -> None:
    if settings.is_production:
        raise SettingsError("PYTAKE_ENV is production: run `pytake migrate`, `pytake api` and `pytake worker` there.")


async def _plant(settings: Settings) -> None:
    async with bootstrap.ports(settings) as ports:
        if not await demo.is_planted(ports):
            await demo.plant(ports, await passwords.make_hash(demo.PASSWORD))


def _show(url: str, seconds: float) -> None:
    screen.print(f"\nPyTake runs, after {seconds:.1f} s.\n", style="bold")
    for what, where in (
        ("GraphiQL", "/graphql"),
        ("Web chat, as a customer", "/dev/chat"),
        ("… whom a flow greets", f"/dev/chat?channel={demo.BOT_CHANNEL}"),
        ("WhatsApp, as a customer", "/dev/whatsapp"),
        ("Mails", "/dev/mail"),
        ("Health", "/readyz"),
    ):
        screen.print(f"  {what:<24} {url}{where}", markup=False)
    screen.print(f"\n  Sign in to {demo.NAME} with the password [bold]{demo.PASSWORD}[/bold]:")
    for who in demo.LOGINS:
        screen.print(f"  {who.role:<24} {who.email}", markup=False)
    screen.print("\n  More visitors: pytake simulate. Stop with Ctrl-C.\n", markup=False)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    entered: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return entered

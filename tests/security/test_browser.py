"""What a real browser does with our cookies and headers: its own pages may act for a user, others may not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from client import PASSWORD
from platform_process import ServerHandle, serving

EMAIL = "ada@example.org"

ASK = """async ([method, path, body]) => {
    const headers = {};
    if (method !== 'GET') {
        headers['Content-Type'] = 'application/json';
        headers['X-CSRF-Token'] = window.csrf ?? (await (await fetch('/api/v1/auth/csrf')).json()).csrf_token;
    }
    const answer = await fetch(path, {method, headers, body: body === null ? undefined : JSON.stringify(body)});
    const text = await answer.text();
    const said = text ? JSON.parse(text) : {};
    if (said.csrf_token) window.csrf = said.csrf_token;
    return [answer.status, said];
}"""
"""A call as a page of ours makes it."""

ATTACK = """async ([url]) => {
    const tried = [];
    for (const [method, mode, type] of [
        ['POST', 'no-cors', 'text/plain'], ['POST', 'cors', 'application/json'], ['GET', 'cors', ''],
    ]) {
        try {
            const headers = type ? {'Content-Type': type} : {};
            const answer = await fetch(url, {method, mode, headers, credentials: 'include'});
            tried.push(answer.type === 'opaque' ? 'opaque' : await answer.text());
        } catch (error) {
            tried.push('blocked');
        }
    }
    return tried;
}"""
"""What a page of somebody else can try. It never sees an answer."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine; `.ci/run` installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server() -> Iterator[ServerHandle]:
    with serving() as running:
        yield running


@pytest.fixture
def elsewhere(server: ServerHandle) -> Iterator[str]:
    """A page on another site, with a form that posts to ours."""
    form = f'<form method="post" action="{server.url}/api/v1/auth/logout-all"><button>win a prize</button></form>'

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield f"http://localhost:{http.server_port}/"
        http.shutdown()
        thread.join()


def visiting(chromium: Browser, server: ServerHandle) -> Page:
    """A page of ours in a browser that nobody has used yet. The API's own answers may do nothing."""
    page = chromium.new_context().new_page()
    page.route(f"{server.url}/app", lambda route: route.fulfill(content_type="text/html", body="<h1>The shop</h1>"))
    page.goto(f"{server.url}/app")
    return page


def ask(page: Page, method: str, path: str, body: object = None) -> tuple[int, Any]:
    status, said = page.evaluate(ASK, [method, f"/api/v1/auth/{path}", body])
    return status, said


def log_in(page: Page) -> None:
    who = {"email": EMAIL, "password": PASSWORD}
    assert ask(page, "POST", "register", who)[0] == 202, "also where the address is taken"
    status, said = ask(page, "POST", "login", who)
    assert (status, said["status"]) == (200, "authenticated")
    assert ask(page, "GET", "session")[0] == 200


@pytest.mark.timeout(180)
def test_a_browser_logs_in_is_not_used_by_others_and_logs_out_everywhere(
    chromium: Browser, server: ServerHandle, elsewhere: str
) -> None:
    desk, phone = visiting(chromium, server), visiting(chromium, server)
    log_in(desk)
    log_in(phone)

    (cookie,) = [one for one in desk.context.cookies() if one["name"].endswith("session")]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert desk.evaluate("document.cookie") == "", "no script reads it"

    other = desk.context.new_page()
    other.goto(elsewhere)
    for path in ("logout", "logout-all", "session"):
        seen = other.evaluate(ATTACK, [f"{server.url}/api/v1/auth/{path}"])
        assert set(seen) <= {"opaque", "blocked"}, "another site reads no answer"
    with other.expect_response("**/logout-all") as posted:
        other.click("button")
    assert posted.value.status in {401, 403, 415}, "another site's form does nothing"
    assert ask(desk, "GET", "session")[0] == 200
    assert ask(phone, "GET", "session")[0] == 200

    assert ask(desk, "POST", "logout-all")[0] == 204
    assert ask(desk, "GET", "session")[0] == 401
    assert ask(phone, "GET", "session")[0] == 401
    assert not [one for one in desk.context.cookies() if one["name"].endswith("session")]
    for page in (desk, phone, other):
        page.context.close()

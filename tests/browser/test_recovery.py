"""What a customer sees of a crash: the page waits, comes back by itself, and the money is right."""

from collections import Counter

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.pictures import Pictures
from tests.browser.test_every_page import under_way
from tests.browser.visitor import DEVICES, PHONE, Device
from tests.support.served import Served

AWAY = "We can't reach Rekindle right now."


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_a_job_survives_the_end_of_its_worker(device: Device, visit: Visit, mortal: Served, pictures: Pictures) -> None:
    customer = visit(device, to=mortal)
    customer.expects_outage()
    customer.open()
    customer.sign_up()
    customer.pick(pictures.scene)
    with under_way(customer, mortal) as job:
        mortal.kill()

    expect(customer.page.get_by_text(AWAY)).to_be_visible()
    expect(customer.page.get_by_text("The connection is gone; the work goes on.")).to_be_visible()
    mortal.start()

    customer.wait_for("succeeded")
    expect(customer.page.get_by_text(AWAY)).to_have_count(0)
    expect(customer.page.get_by_test_id("compare-slider")).to_be_visible()
    assert customer.ask(f"/jobs/{job}")["attempts"] == 2, "the job was over before the server was"
    customer.has_credits(1)
    changes = Counter(entry["kind"] for entry in customer.ask("/credits/entries")["items"] if entry["job"] == job)
    assert changes == {"hold": 1, "capture": 1}
    books = mortal.command("credits", "check")
    assert books.returncode == 0, books.stdout + books.stderr


def test_without_a_server_the_app_says_so_and_goes_on_when_it_is_back(
    visit: Visit, mortal: Served, pictures: Pictures
) -> None:
    visitor = visit(PHONE, to=mortal)
    visitor.expects_outage()
    visitor.open()
    visitor.page.evaluate("navigator.serviceWorker.ready")

    mortal.kill()
    visitor.page.get_by_test_id("file-input").set_input_files(pictures.cat)
    problem = visitor.page.get_by_role("alert")
    expect(problem).to_contain_text("We can't reach the server")
    expect(visitor.page.get_by_text(AWAY)).to_be_visible()
    visitor.follow("Pricing")
    expect(visitor.page.get_by_text("$4.99")).to_be_visible()
    visitor.open()  # as if the app were started anew: what was kept opens it
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Bring your old photographs back to life.")

    mortal.start()
    expect(visitor.page.get_by_text(AWAY)).to_have_count(0)
    visitor.pick(pictures.cat)

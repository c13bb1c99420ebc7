"""Plans and top-ups over HTTP. The app mounts this router under `/api/v1`; `app.state.product` gives the product."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from penstock.billing.schemas import PlanLimitsView, PlanList, PlanView, TopUpList, TopUpView
from penstock.product.schema import Product
from penstock.product.schema_offer import Plan

router = APIRouter(tags=["credits"])


def product_of(request: Request) -> Product:
    """Return the product that holds now."""
    product = request.app.state.product()
    assert isinstance(product, Product)
    return product


CurrentProduct = Annotated[Product, Depends(product_of)]


@router.get("/plans", summary="List the plans")
async def list_plans(product: CurrentProduct) -> PlanList:
    """Return every plan with its price and what it allows, the free one first."""
    return PlanList(items=[_plan(name, plan) for name, plan in product.plans.items()])


@router.get("/topups", summary="List the top-ups")
async def list_topups(product: CurrentProduct) -> TopUpList:
    """Return what credits cost without a plan."""
    shown = (TopUpView(id=name, credits=it.credits, price_usd=it.price_usd) for name, it in product.topups.items())
    return TopUpList(items=list(shown))


def _plan(name: str, plan: Plan) -> PlanView:
    return PlanView(
        id=name,
        title=plan.title,
        description=plan.description,
        price_usd_month=plan.price_usd_month,
        price_usd_year=plan.price_usd_year,
        credits_month=plan.credits_month,
        features=list(plan.features),
        limits=PlanLimitsView(**plan.limits.model_dump()),
        resolution=plan.resolution,
        watermark=plan.watermark,
        keep_days=plan.keep_days,
    )

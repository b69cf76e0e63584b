//! The contract of [`TemplateStore`].

use std::thread;

use atelier_domain::hidden::Hidden;
use atelier_domain::id::TemplateId;
use atelier_domain::store::{StoreError, TemplateStore};
use atelier_domain::template::{Template, TemplateFilter};
use atelier_domain::time::Timestamp;

use super::sample;

const MAX: usize = 100;

fn put(store: &dyn TemplateStore, template: Template) -> Template {
    assert!(store.put_templates(std::slice::from_ref(&template), MAX).expect("written"));
    template
}

fn next(template: &Template) -> Template {
    Template { version: template.version + 1, ..template.clone() }
}

fn listed(store: &dyn TemplateStore, filter: &TemplateFilter) -> Vec<Template> {
    store.templates(filter, None, MAX, &|_| true).expect("read")
}

pub fn a_template_is_read_as_it_was_put_and_so_are_its_earlier_versions(store: &dyn TemplateStore) {
    let first = put(store, sample::template("poster"));
    assert_eq!(store.template(first.id).expect("read"), Some(first.clone()));
    let second =
        Template { prompt: Hidden::new("Paint {{ what }}."), name: "banner".to_owned(), ..next(&first) };
    put(store, second.clone());
    assert_eq!(store.template(first.id).expect("read"), Some(second.clone()));
    assert_eq!(store.template_version(first.id, 1).expect("read"), Some(first));
    assert_eq!(store.template_version(second.id, 2).expect("read"), Some(second.clone()));
    assert_eq!(store.template_version(second.id, 3).expect("read"), None);
    assert_eq!(store.template_version(second.id, 0).expect("read"), None);
    assert_eq!(store.template_named("banner").expect("read"), Some(second));
    assert_eq!(store.template_named("poster").expect("read"), None, "its name went with its version");
    assert_eq!(store.template(TemplateId::new()).expect("read"), None);
}

pub fn a_name_is_one_templates_until_it_is_archived(store: &dyn TemplateStore) {
    let poster = put(store, sample::template("poster"));
    let again = sample::template("poster");
    let refused = store.put_templates(std::slice::from_ref(&again), MAX);
    assert!(matches!(refused, Err(StoreError::Exists { .. })), "{refused:?}");
    let banner = put(store, sample::template("banner"));
    let renamed = Template { name: "poster".to_owned(), ..next(&banner) };
    assert!(matches!(store.put_templates(&[renamed], MAX), Err(StoreError::Exists { .. })));
    assert_eq!(store.template(banner.id).expect("read"), Some(banner), "nothing of it stays");
    assert!(store.archive_template(poster.id, Timestamp(9)).expect("archived"));
    put(store, again.clone());
    assert_eq!(store.template_named("poster").expect("read"), Some(again));
}

pub fn of_several_templates_all_are_put_or_none(store: &dyn TemplateStore) {
    let poster = put(store, sample::template("poster"));
    let both = [sample::template("banner"), sample::template("poster")];
    assert!(store.put_templates(&both, MAX).is_err());
    assert_eq!(listed(store, &TemplateFilter::default()), std::slice::from_ref(&poster));
    let both = [sample::template("banner"), next(&poster)];
    assert!(store.put_templates(&both, MAX).expect("written"));
    let names: Vec<_> = listed(store, &TemplateFilter::default()).into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["banner", "poster"]);
}

pub fn templates_are_listed_newest_first_in_pages_by_scene_and_tag(store: &dyn TemplateStore) {
    let with = |i: usize| {
        let scene = Some(if i.is_multiple_of(2) { "even" } else { "odd" }.to_owned());
        let tags = [format!("t{}", i % 3)].into();
        put(store, Template { scene, tags, ..sample::template(&format!("template {i}")) })
    };
    let mut made: Vec<_> = (0..12).map(with).collect();
    made.reverse();
    let all = TemplateFilter::default();
    let first = store.templates(&all, None, 5, &|_| true).expect("read");
    assert_eq!(first, made[..5]);
    assert_eq!(store.templates(&all, Some(first[4].id), 50, &|_| true).expect("read"), made[5..]);
    let names = |filter: &TemplateFilter| -> Vec<String> {
        listed(store, filter).into_iter().map(|template| template.name).collect()
    };
    let even = TemplateFilter { scene: Some("even".to_owned()), ..all.clone() };
    assert_eq!(names(&even).len(), 6);
    assert_eq!(names(&TemplateFilter { tag: Some("t1".to_owned()), ..even }), ["template 10", "template 4"]);
    assert!(names(&TemplateFilter { tag: Some("none".to_owned()), ..all.clone() }).is_empty());
    let wanted = store.templates(&all, None, 2, &|template| template.name.ends_with('1')).expect("read");
    assert_eq!(wanted.len(), 2, "what is not wanted takes no place of a page");
}

pub fn an_archived_template_stays_and_takes_no_version(store: &dyn TemplateStore) {
    let poster = put(store, sample::template("poster"));
    assert!(store.archive_template(poster.id, Timestamp(9)).expect("archived"));
    assert!(!store.archive_template(poster.id, Timestamp(10)).expect("answered"));
    assert!(!store.archive_template(TemplateId::new(), Timestamp(10)).expect("answered"));
    let archived = Template { archived: Some(Timestamp(9)), ..poster.clone() };
    assert_eq!(store.template(poster.id).expect("read"), Some(archived.clone()));
    assert_eq!(store.template_version(poster.id, 1).expect("read"), Some(archived));
    assert!(listed(store, &TemplateFilter::default()).is_empty());
    assert!(matches!(store.put_templates(&[next(&poster)], MAX), Err(StoreError::Conflict { .. })));
}

pub fn there_are_so_many_templates_and_no_more(store: &dyn TemplateStore) {
    let full: Vec<_> = (0..MAX).map(|i| sample::template(&format!("template {i}"))).collect();
    assert!(store.put_templates(&full, MAX).expect("written"));
    let more = sample::template("one more");
    assert!(!store.put_templates(std::slice::from_ref(&more), MAX).expect("answered"));
    assert_eq!(store.template(more.id).expect("read"), None);
    put(store, next(&full[3]));
    assert!(store.archive_template(full[0].id, Timestamp(9)).expect("archived"));
    put(store, more);
}

pub fn of_many_who_write_the_next_version_at_once_one_does(store: &dyn TemplateStore) {
    let poster = put(store, sample::template("poster"));
    let written = thread::scope(|scope| {
        let write = |_| scope.spawn(|| store.put_templates(&[next(&poster)], MAX).is_ok());
        let writers: Vec<_> = (0..8).map(write).collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).filter(|is| *is).count()
    });
    assert_eq!(written, 1);
    assert_eq!(store.template(poster.id).expect("read").map(|template| template.version), Some(2));
}
